//! Formats that are known by sight and not read, each with the command that makes a file that is.

use super::lines::Head;

/// First bytes of files that are no text.
const BYTES: [(&[u8], &str); 16] = [
    (b"\x1f\x8b", "packed with gzip (or a pprof profile); unpack it with `gzip -dc FILE | tidewatch judge -`"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it with `zstd -dc FILE | tidewatch judge -`"),
    (b"\xfd7zXZ", "packed with xz; unpack it with `xz -dc FILE | tidewatch judge -`"),
    (b"BZh", "packed with bzip2; unpack it with `bzip2 -dc FILE | tidewatch judge -`"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet (.xlsx); export the sheet as CSV"),
    (b"\xff\xfe", "text in UTF-16; convert it with `iconv -f UTF-16 -t UTF-8 FILE | tidewatch judge -`"),
    (b"\xfe\xff", "text in UTF-16; convert it with `iconv -f UTF-16 -t UTF-8 FILE | tidewatch judge -`"),
    (
        b"JAVA PROFILE",
        "a heap dump of Java (hprof), one moment; log collections with `java -Xlog:gc*:file=gc.log:time`",
    ),
    (
        b"FLR\0",
        "a recording of Java Flight Recorder; print it with `jfr print --json --events jdk.GCHeapSummary FILE`, or log collections with `java -Xlog:gc:file=gc.log:time`",
    ),
    (b"PERFILE2", "a profile of perf, which holds no memory over time; sample with `pidstat -r -h -p PID 60`"),
    (b"\x96\xd5", "a data file of sar; print it with `sadf -d FILE -- -r | tidewatch judge -`"),
    (b"\xd5\x96", "a data file of sar; print it with `sadf -d FILE -- -r | tidewatch judge -`"),
    (b"PAR1", "a Parquet file; export it as CSV with a time column and a value column"),
    (
        b"SQLite format 3",
        "a SQLite database; export a table with `sqlite3 -header -csv FILE 'select time, rss from samples'`",
    ),
    (b"RRD\0", "a round-robin database; print it with `rrdtool xport`, or export CSV"),
    (
        b"\xef\xbe\xed\xfe",
        "a recording of atop; print it with `atop -r FILE -P PRM`, or sample with `pidstat -r -h -p PID 60`",
    ),
];

/// Texts by a piece of their first lines.
const TEXTS: [(&str, &str); 13] = [
    ("\"dhatFileVersion\"", "a profile of DHAT, without values over time; use `valgrind --tool=massif --time-unit=ms`"),
    (
        "{\"snapshot\":",
        "a heap snapshot of V8, one moment; log collections with `node --trace-gc`, or write JSON.stringify(process.memoryUsage()) with a time every minute",
    ),
    ("\"traceEvents\"", "a trace of Chrome; log collections with `node --trace-gc`"),
    ("heap profile: ", "a heap profile of gperftools or pprof, one moment; sample with `pidstat -r -h -p PID 60`"),
    ("# HELP ", "a page of metrics, one moment; ask Prometheus for a range (`promtool query range -o json`)"),
    ("# TYPE ", "a page of metrics, one moment; ask Prometheus for a range (`promtool query range -o json`)"),
    ("<?xml", "XML; record CSV with a time column and a value column"),
    ("<!DOCTYPE", "a web page; export the data behind it as CSV"),
    ("<html", "a web page; export the data behind it as CSV"),
    (
        "procs -----------memory",
        "an output of vmstat, which holds no memory of a process; sample with `pidstat -r -h -p PID 60`",
    ),
    ("heaptrack version", "a report of heaptrack; sample with `pidstat -r -h -p PID 60` beside it"),
    ("ATOP - ", "an output of atop; sample with `pidstat -r -h -p PID 60`"),
    ("%PDF-", "a PDF; export the data behind it as CSV"),
];

/// What a file is by its first bytes.
pub(super) fn by_first_bytes(head: &[u8]) -> Option<&'static str> {
    BYTES.iter().find(|(bytes, _)| head.starts_with(bytes)).map(|(_, what)| *what)
}

/// What a text is by its first lines.
pub(super) fn by_first_lines(head: &Head<'_>) -> Option<&'static str> {
    let lines = head.lines.iter().take(3);
    let holds = |piece: &str| lines.clone().any(|line| line.chars().take(400).collect::<String>().contains(piece));
    TEXTS.iter().find(|(piece, _)| holds(piece)).map(|(_, what)| *what)
}
