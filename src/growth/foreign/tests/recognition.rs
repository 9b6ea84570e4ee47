//! Which format a file is, by how it begins.

use super::*;
use crate::growth::foreign::formats::recognise;
use crate::growth::foreign::lines::Stamps;

fn format_of(text: &str) -> &'static str {
    recognise(&Head::of(text)).map(|(format, _)| format.name).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_format_of_tools_has_all_of_its_marks() {
    for (text, format) in [
        ("desc: x\ncmd: x\ntime_unit: ms\nsnapshot=0\n", "massif"),
        ("desc: x\ntime_unit: ms\n", "a table"),
        ("snapshot=0\ntime=5\n", "a table"),
        ("# Elapsed time   CPU (%)     Real (MB)\n", "psrecord"),
        ("# Elapsed time   CPU (%)\n", "a table"),
        ("# Real (MB)   CPU (%)\n", "a table"),
        ("top - 09:00:00 up\n PID USER RES COMMAND\n", "top"),
        (" PID USER RES COMMAND\n", "a table"),
        ("top - 09:00:00 up\n PID RSS COMMAND\n", "a table"),
        ("top - 09:00:00 up\n USER RES COMMAND\n", "a table"),
        ("top - 09:00:00 up\n PID RES\n", "a table"),
        ("# Time UID PID RSS Command\n", "pidstat"),
        ("09:00:00 UID PID RSS Command\n", "pidstat"),
        ("host PID RSS Command\n", "a table"),
        ("Time PID RSS\n", "a table"),
        ("Time UID RSS Command\n", "a table"),
        ("Time PID VSZ Command\n", "a table"),
        ("#Date Time [MEM]Used\n", "collectl"),
        ("#Date Time RSS\n", "collectl"),
        ("#Date Time [CPU]User%\n", "a table"),
        ("Date RSS\n", "a table"),
        ("# PID THRD RSS\n", "collectl"),
        ("PID THRD RSS\n", "a table"),
        ("# PID THRD VSZ\n", "a table"),
        ("# PID VSZ RSS\n", "a table"),
        ("   total  used  free\nMem:  5 3 2\n", "free"),
        ("   total  used  free\n5 3 2\n", "a table"),
        ("Mem:  5 3 2\nSwap:  5 3 2\n", "a table"),
        ("NAME   MEM USAGE / LIMIT\n", "docker stats"),
        ("NAME,MEM USAGE\n", "a table"),
        ("NAME CPU(cores) MEMORY(bytes)\n", "kubectl top"),
        ("NAME MEMORY(bytes)\n", "a table"),
        ("NAME CPU(cores)\n", "a table"),
        ("api-0 3m 200Mi\n", "kubectl top"),
        ("default api-0 main 3m 200Mi\n", "kubectl top"),
        ("3m 200Mi\n", "a table"),
        ("a b c d 3m 200Mi\n", "a table"),
        ("09:00 3m 200Mi\n", "a table"),
        ("api-0 3 200Mi\n", "a table"),
        ("api-0 3m 200M\n", "a table"),
        ("api-0 3m wifi\n", "a table"),
        (" garbage-first heap   total 962144K, used 5K [0x\n", "jcmd GC.heap_info"),
        (" ZHeap           used 10M, capacity 256M\n", "jcmd GC.heap_info"),
        (" total of five, used 3K\n", "a table"),
        (" cache 5K used 3K\n", "a table"),
        (" Metaspace       used 2612K, committed 2752K\n", "a table"),
        ("rss=5 MB\nrss=6 MB\n", "names with values"),
        ("rss=5 MB\n", "names with values"),
        ("started\nrss=5 MB\n", "a table"),
    ] {
        assert_eq!(format_of(text), format, "{text}");
    }
}

#[test]
fn a_document_is_told_by_its_keys() {
    for (text, format) in [
        // A label may have the name of a value.
        (r#"{"metric":{"memory":"a"},"values":[1],"timestamps":[1]}"#, "Prometheus"),
        (r#"{"data":{"result":[{"metric":{"heap":"x"}}]}}"#, "Prometheus"),
        (r#"{"time":1,"data":"x","value":5}"#, "JSON lines"),
        (r#"{"time":1,"status":"ok","rss":5}"#, "JSON lines"),
        (r#"{"Label":"x","Datapoints":[]}"#, "CloudWatch"),
    ] {
        assert_eq!(format_of(text), format, "{text}");
    }
}

#[test]
fn times_stand_in_front_of_lines_or_on_their_own() {
    for (text, format, stamps) in [
        ("NAME   MEM USAGE / LIMIT\nweb   5MiB / 2GiB\n", "docker stats", Stamps::Lines),
        ("09:00:00 NAME   MEM USAGE / LIMIT\n09:00:00 web   5MiB / 2GiB\n", "docker stats", Stamps::Prefixes),
        ("09:00:00 api-0 3m 200Mi\n", "kubectl top", Stamps::Prefixes),
        ("09:00:00 rss=5 MB\n09:00:01 rss=5 MB\n", "names with values", Stamps::Prefixes),
        ("time rss\n", "a table", Stamps::Lines),
        ("09:00:00 PID RSS\n09:00:00 1 2\n", "a table", Stamps::Prefixes),
        ("09:00:00 pid rss\n09:00:00 1 2\n", "a table", Stamps::Lines),
        // These times are the format's own.
        ("2025-03-01T09:00:00.000+0000: 5.5: [GC (x) 9K->5K(9K), 1 secs]\n", "Java's GC log", Stamps::None),
    ] {
        let found = recognise(&Head::of(text)).map(|(format, stamps)| (format.name, stamps));
        assert_eq!(found.unwrap_or_else(|error| panic!("{text}: {error}")), (format, stamps), "{text}");
    }
}

#[test]
fn what_is_known_and_not_read_is_named_with_a_way_out() {
    for (bytes, named) in [
        (&b"\x1f\x8b\x08\x00"[..], "packed with gzip"),
        (b"PK\x03\x04rest", "export the sheet as CSV"),
        (b"JAVA PROFILE 1.0.2\0", "a heap dump of Java"),
        (b"# HELP go_goroutines Number\n# TYPE go_goroutines gauge\n", "a page of metrics, one moment"),
        (b"\n{\"snapshot\":{\"meta\":{}}}", "a heap snapshot of V8"),
        (b"<?xml version=\"1.0\"?>\n", "XML; record CSV"),
        (b"a\nb\n%PDF-1.7\n", "a PDF"),
    ] {
        let error = read_curves(bytes, &Query::default()).map(|found| found.len()).expect_err(named).in_file("f");
        assert!(error.starts_with("f: is ") && error.contains(named), "{error}");
    }
    assert_eq!(format_of("a\nb\nc\n%PDF-1.7\n"), "a table");
}
