//! Each format by small samples as their programs write them.

use super::*;
use crate::growth::{Axis, Point};
use crate::sample::{Metric, Phase};

mod documents;
mod formats;
mod layout;
mod logs;
mod recognition;
mod samples;
mod subjects;
mod tables;

fn read(text: &str, unit: Unit) -> Result<Vec<Foreign>, CurveError> {
    read_curves(text.as_bytes(), &Query::of(unit))
}

/// The time and the value of each point of the only curve.
fn only(text: &str, unit: Unit) -> (Axis, Vec<(f64, f64)>) {
    let curves = read(text, unit).unwrap_or_else(|error| panic!("{text}: {error}"));
    let [one] = curves.as_slice() else { panic!("{} curves in {text}", curves.len()) };
    assert_eq!(one.series, None);
    (one.curve.axis, one.curve.points.iter().map(|point| (point.t, point.value)).collect())
}

/// The name of each curve, and the time and the value of its points.
fn curves(text: &str, query: &Query) -> Vec<(String, Vec<(f64, f64)>)> {
    let curves = read_curves(text.as_bytes(), query).unwrap_or_else(|error| panic!("{text}: {error}"));
    let points = |one: &Foreign| one.curve.points.iter().map(|point| (point.t, point.value)).collect();
    curves.iter().map(|one| (one.series.clone().unwrap_or_default(), points(one))).collect()
}

/// The name and the number of points of each curve.
fn counted(text: &str, query: &Query) -> Vec<(String, usize)> {
    curves(text, query).into_iter().map(|(name, points)| (name, points.len())).collect()
}

fn refusal(text: &str, query: &Query) -> String {
    read_curves(text.as_bytes(), query).map(|found| found.len()).expect_err(text).to_string()
}

/// A query that names these columns.
fn columns(names: &[&str]) -> Query {
    Query { columns: names.iter().map(|name| (*name).to_owned()).collect(), ..Query::default() }
}

fn by(names: &[&str]) -> Query {
    Query { by: names.iter().map(|name| (*name).to_owned()).collect(), ..Query::default() }
}

/// A query about a file without times.
fn every(seconds: f64) -> Query {
    Query { every_s: Some(seconds), ..Query::default() }
}

#[test]
fn a_curve_reads_as_written() {
    let text = "t_s,ops,phase,cycle,value\n0.0,0,,0,7\n0.5,10,warmup,0,8\r\n1,20,load,1,9.5\n1.5,20,settle,1,9\n";
    let curve = read_curve(text.as_bytes(), Unit::Count).expect("reads");
    assert_eq!((curve.metric, curve.axis, curve.points.len()), (Metric::Fds, Axis::Operations, 4));
    assert_eq!(curve.points[2], Point { t: 1.0, x: 20.0, value: 9.5, cycle: 1, phase: Some(Phase::Load) });
    let mixed =
        "value,cycle,note,t_s,phase,ops\n7,0,a,0.0,,0\n8,0,b,0.5,warmup,10\n9.5,1,,1,load,20\n9,1,,1.5,settle,20\n";
    assert_eq!(read_curve(mixed.as_bytes(), Unit::Count).expect("reads").points, curve.points);
}

#[test]
fn phases_tell_of_cycles_and_cycles_of_phases() {
    let places = |text: &str| {
        let curve = read_curve(text.as_bytes(), Unit::Bytes).expect("reads");
        curve.points.iter().map(|point| (point.cycle, point.phase)).collect::<Vec<_>>()
    };
    let (load, settle) = (Some(Phase::Load), Some(Phase::Settle));
    assert_eq!(
        places("t,ops,phase,value\n0,0,warmup,1\n1,1,load,1\n2,2,load,1\n3,2,settle,1\n4,3,load,1\n"),
        [(0, Some(Phase::Warmup)), (1, load), (1, load), (1, settle), (2, load)]
    );
    assert_eq!(
        places("t,ops,cycle,value\n0,0,0,1\n1,1,1,1\n2,2,2,1\n"),
        [(0, Some(Phase::Warmup)), (1, load), (2, load)]
    );
    // Nothing said: windows of a second.
    assert_eq!(places("t,ops,value\n0,0,1\n1,1,1\n2,2,1\n"), [(1, load), (2, load), (2, load)]);
}

#[test]
fn without_operations_seconds_are_the_axis() {
    let curve = read_curve("t_s,ops,phase,cycle,value\n5,0,load,1,7\n6,0,load,1,8\n".as_bytes(), Unit::Bytes);
    let curve = curve.expect("reads");
    assert_eq!((curve.axis, curve.points[1].x), (Axis::Seconds, 1.0));
}

#[test]
fn tables_of_many_kinds() {
    let two = vec![(0.0, 5.0), (1.5, 6.0)];
    for text in [
        "0,5\n1.5,6\n",
        "0\t5\n1.5\t6\n",
        "0 5\n1.5   6\n",
        "0;5\n1.5;6",
        "\n  0 5\r\n\r\n1.5 6\r\n\r\n",
        "\u{feff}time,value\n0,5\n1.5,6\n",
        "time\tvalue\n0\t5\n1.5\t6\n",
        "# written by hand\n# time value\n0 5\n1.5 6\n",
        "\"Time\",\"open_things\"\n\"0\",\"5\"\n\"1.5\",\"6\"\n",
        "\"a, b\",seconds,fds\n\"x, y\",0,5\n\"\",1.5,6\n",
        "ms,value\n0,5\n1500,6\n",
        "cpu_percent,elapsed_time,threads\n90,0,5\n91,1.5,6\n",
    ] {
        assert_eq!(only(text, Unit::Count), (Axis::Seconds, two.clone()), "{text}");
    }
    for (text, first) in [
        ("timestamp,rss_kb\n1700000000,1\n", (1.7e9, 1024.0)),
        ("timestamp,rss (MB)\n1700000000123,1\n", (1_700_000_000.123, MIB)),
        ("Time,resident_memory_bytes\n2023-11-14 22:13:20,7\n", (1.7e9, 7.0)),
        ("date,value\n2023-11-14T23:13:20+01:00,7\n", (1.7e9, 7.0)),
        ("elapsed_time,nproc,cpu,mem_real,mem_virtual,mem_swap\n2,1,99.5,1.5,9,0\n", (2.0, 1.5 * MIB)),
    ] {
        let (t, value) = only(text, Unit::Bytes).1[0];
        assert!((t - first.0).abs() < 1e-6 && value == first.1, "{text}: {t} {value}");
    }
}

const PSRECORD: &str = "\
# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)
       0.000        0.000        2.500       14.000
       0.011       99.100        2.750       14.000
";

#[test]
fn logs_of_psrecord() {
    assert_eq!(only(PSRECORD, Unit::Bytes), (Axis::Seconds, vec![(0.0, 2.5 * MIB), (0.011, 2.75 * MIB)]));
    let newer = "\
# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)   Swap (MB)    Read count  Write count   Read bytes  Write bytes  Dir size (MB)
       1.000        0.000        2.000       14.000        0.000           12           13         4096            0        0.500
";
    assert_eq!(only(newer, Unit::Bytes).1, [(1.0, 2.0 * MIB)]);
}

const MPROF: &str = "\
CMDLINE python -c 'import time
time.sleep(1)'
MEM 1.500000 1400000000.1000
CHLD 71 0.500000 1400000000.1010
CHLD 72 0.250000 1400000000.1011
MEM 2.000000 1400000000.2000
FUNC app.main 1.5000 1400000000.1000 2.0000 1400000000.1500 0
MEM 2.500000 1400000000.3000
";

#[test]
fn files_of_mprof() {
    let found = read(MPROF, Unit::Bytes).expect("reads");
    let values: Vec<f64> = found[0].curve.points.iter().map(|point| point.value / MIB).collect();
    assert_eq!((found.len(), found[0].series.as_deref(), values), (1, None, vec![2.25, 2.0, 2.5]));
    assert_eq!(found[0].remarks, ["children are added to their parent"]);
    let twice = read(&format!("{MPROF}CMDLINE again\nMEM 7.0 1400000009.0\n"), Unit::Bytes).expect("reads");
    let series: Vec<_> = twice.iter().map(|run| (run.series.as_deref(), run.curve.points.len())).collect();
    assert_eq!(series, [(Some("{run=\"1\"}"), 3), (Some("{run=\"2\"}"), 1)]);
}

const PROMETHEUS: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
  {"metric":{"job":"api","__name__":"up"},"values":[[1700000000,"1"],[1700000060.5,"NaN"],[1700000120,"2e3"]]},
  {"metric":{"path":"a\"b\\c\n"},"values":[[1,2]]},
  {"metric":{},"values":[[1,"+Inf"]]}
],"stats":{"seriesFetched":"3"}},"warnings":["w"],"infos":[]}
"#;

#[test]
fn answers_of_prometheus() {
    let found = read(PROMETHEUS, Unit::Bytes).expect("reads");
    let names: Vec<_> = found.iter().map(|one| one.series.as_deref().unwrap_or_default()).collect();
    assert_eq!(names, [r#"{__name__="up",job="api"}"#, r#"{path="a\"b\\c\n"}"#, "{}"]);
    let values: Vec<_> = found[0].curve.points.iter().map(|point| (point.t, point.x, point.value)).collect();
    assert_eq!(values, [(1.7e9, 0.0, 1.0), (1.70000012e9, 120.0, 2000.0)]);
    assert_eq!(found[0].remarks, ["1 sample without a number is left out"]);
    assert!(found[2].curve.points.is_empty());
    let list = r#"[{"metric":{"a":"b"},"values":[[0,"1"],[1,"2"]]}]"#;
    assert_eq!(read(list, Unit::Count).expect("reads")[0].curve.points.len(), 2);
}

#[test]
fn what_does_not_fit_is_named_with_its_line() {
    for (text, message) in [
        ("", "holds no values"),
        (" \n\r\n", "holds no values"),
        ("t,v\n", "holds no values"),
        ("t_s,ops,phase,cycle,value\n", "holds no values"),
        ("a,b\n1,2\n", "line 1: names no column of time: `a`, `b`"),
        ("t,a,b\n1,2,3\n", "line 1: names no column that can be the value: `t`, `a`, `b`"),
        ("t,rss,heap\n1,2,3\n", "line 1: names several columns that can be the value: `rss`, `heap`"),
        ("1,2,3\n", "line 1: has 3 columns and no names"),
        ("t_s,ops,phase,cycle,value\n1,2,3\n", "line 2: has 3 fields, not 5"),
        ("t_s,ops,phase,cycle,value\n1,0,lod,1,7\n", "line 2: phase `lod`"),
        ("t_s,ops,phase,cycle,value\n1,0,load,1,7\n1,0,load,1,abc\n", "line 3: value `abc`"),
        ("t_s,ops,phase,cycle,value\n1,0,load,-1,7\n", "line 2: cycle `-1`"),
        ("t_s,ops,phase,cycle,value\n2,0,load,1,7\n1,0,load,1,7\n", "line 3: goes back in time"),
        ("t_s,ops,phase,cycle,value\n1,5,load,1,7\n1,4,load,1,7\n", "line 3: goes back in operations"),
        ("t,v\n\n1,2\nx,3\n", "line 4: time `x`"),
        ("0 1\n1 \u{1b}[31m\n", "line 2: value"),
        (&PSRECORD.replace("99.100", ""), "line 3: has 3 fields, not 4"),
        (&PSRECORD.replace("2.750", "2,750"), "line 3: Real (MB) `2,750`"),
        ("MEM 1.0 5\nMEM 1.0\n", "line 2: time `` is not"),
        ("MEM 1.0 5\nMOM 1.0\n", "line 2: `MOM` is not one of"),
        ("CMDLINE a\nCHLD 0 1.0 5.0\n", "line 2: tells of a child before"),
        ("CMDLINE a\nCMDLINE b\nMEM 1 2\n", "line 2: begins a run"),
        ("CMDLINE a\n", "holds no values"),
        (
            "{\"status\":\"success\",\n\"data\":{\"result\":[{\"values\":[[1,\"x\"]]}]}}",
            "line 2: is not what Prometheus answers",
        ),
        (
            "\n\n{\"data\":\n{\"result\":[{\"values\":[[2,\"1\"],[1,\"1\"]]}]}}",
            "line 4: is not what Prometheus answers to a range query: goes back",
        ),
        ("{\"data\":{\"result\":[", "line 1: is not whole JSON"),
        ("{\"data\":{\"result\":[]}} {", "line 1: is not whole JSON"),
        ("{\"format\":\"tidewatch-recording/1\"}\n{}\n", "line 1: begins a recording of tidewatch"),
        ("{\"a\":1}", "line 1: begins an object without data.result"),
        (
            "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error\"}",
            "line 1: Prometheus answered with an error: parse error",
        ),
        ("{\"data\":{\"result\":[]}}", "line 1: begins an answer without series"),
        ("{\"data\":{\"result\":[{\"metric\":{},\"value\":[1,\"2\"]}]}}", "line 1: answers an instant query"),
        (
            "{\"data\":{\"result\":[{\"metric\":{\"a\":\"b\"},\"histograms\":[]}]}}",
            "line 1: series {a=\"b\"} holds histograms",
        ),
    ] {
        let error = read(text, Unit::Bytes).expect_err(message).to_string();
        assert!(error.starts_with(message), "{text}\n  {error}");
    }
    let bytes = read_curves(&b"t,v\n1,\xff\xfe\n"[..], &Query::of(Unit::Bytes)).expect_err("not text");
    assert_eq!(bytes.in_file("a.csv"), "a.csv:2: is not text");
    let long = "7".repeat(2 << 20);
    assert!(read(&long, Unit::Bytes).expect_err("too long").to_string().contains("longer than"));
    for text in [PSRECORD, MPROF] {
        assert!(read(text, Unit::Count).expect_err("memory").to_string().contains("no count is in it"));
    }
    let missing = judge_csv(Path::new("/no/such/file.csv"), Unit::Bytes).expect_err("missing").in_file("file.csv");
    assert!(missing.starts_with("file.csv: cannot be read: "), "{missing}");
}

proptest::proptest! {
    #[test]
    fn anything_is_read_or_refused(text in "\\PC{0,200}", bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for begin in ["", "t,v\n", "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n", "MEM 1 2\n", "{\"data\":"] {
            let _ = read(&format!("{begin}{text}"), Unit::Bytes);
            let _ = read_curves([begin.as_bytes(), &bytes].concat().as_slice(), &Query::of(Unit::Bytes));
        }
    }
}

#[test]
fn what_no_process_can_have_is_refused_with_its_line() {
    for text in [
        "t_s,value\n0,1\n1,-1e308\n",
        "t_s,value\n0,1\n1,1e300\n",
        "t_s,rss_mb\n0,1\n1,-1e308\n",
        "t_s,ops,value\n0,0,1\n1,1e300,1\n",
        "t_s,ops,value\n0,0,1\n1,-1,1\n",
        "t_s,value\n0,1\n1e300,1\n",
        "t_s,value\n0,1\n1,inf\n",
        "MEM 1 0\nMEM -1e308 1\n",
        "MEM 1 0\nCHLD 0 1e308 0\n",
    ] {
        for unit in [Unit::Bytes, Unit::Count] {
            let told = match read_curves(text.as_bytes(), &Query::of(unit)) {
                Err(error) => error.in_file("f"),
                Ok(_) => "read".to_owned(),
            };
            let place = if text.starts_with("MEM") { "f:" } else { "f:3: " };
            assert!(told.starts_with(place) && !told.contains("-inf"), "{text:?}: {told}");
        }
    }
}
