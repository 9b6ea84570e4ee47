//! Stories of recordings: round trips, cuts, thinning, and files that are refused.

mod any;
mod any_heap;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use any::any_record;

use super::*;
use crate::redact::Redactor;
use crate::run_dir::RunDir;
use crate::sample::{
    Border, Detail, Ending, Event, How, LoadPlan, Mark, MemorySource, Moment, Phase, Process, Sample, Shape, Smallest,
    Tally, Usual,
};

fn plan(name: &str) -> ScenarioPlan {
    ScenarioPlan {
        name: name.into(),
        shape: Shape::Flood,
        subsystem: Some("Queue".into()),
        steps: vec!["POST /items".into()],
        load: LoadPlan { rate: Some(2000.0), load_s: 0.75, settle_s: 0.4, ..LoadPlan::default() },
        smallest: Smallest::PER_OPERATION,
        usual: Usual::default(),
        expect_cap: None,
        thresholds: vec!["private.per_op < 64B".into()],
        production: Vec::new(),
    }
}

fn header(scenarios: &[&str]) -> Header {
    Header {
        tidewatch: "0.1.0".into(),
        started: "2026-02-03T04:05:06Z".into(),
        mode: Mode::Check,
        launched: true,
        interval_us: 100_000,
        host: Host::default(),
        plan: Plan { scenarios: scenarios.iter().map(|name| plan(name)).collect(), ..Plan::default() },
    }
}

fn sample(at: u64, anonymous: u64) -> Record {
    Record::Sample(Sample {
        at: Moment(at),
        operations: at / 10,
        processes: 1,
        rss: Some(anonymous + 4096),
        anonymous: Some(anonymous),
        fds: Some(17),
        threads: Some(3),
        ..Sample::default()
    })
}

fn mark(at: u64, border: Border) -> Record {
    Record::Mark(Mark { at: Moment(at), operations: at / 10, border })
}

fn begins(at: u64, name: &str) -> Record {
    mark(at, Border::ScenarioBegins { scenario: name.into(), memory_source: MemorySource::SmapsRollup })
}

fn ends(at: u64, name: &str) -> Record {
    mark(at, Border::ScenarioEnds { scenario: name.into(), stop: Stop::Spent, tally: Tally::default() })
}

fn target(at: u64, pid: u32, fresh: bool) -> Record {
    let process = Process { pid, start: 7 };
    Record::Event { at: Moment(at), event: Event::TargetBegins { process, command: vec!["server".into()], fresh } }
}

fn run_dir(path: &Path) -> Arc<RunDir> {
    Arc::new(RunDir::open(path).expect("a directory"))
}

fn write_all(dir: &Path, header: &Header, records: &[Record], bound: SizeBound) -> Writer {
    let mut writer = Writer::create(&run_dir(dir), header, bound, Redactor::default()).expect("create");
    for record in records {
        writer.write(record).expect("write");
    }
    writer
}

fn in_memory(header: Header, records: Vec<Record>) -> Recording {
    Recording { header, records, footer: None, remarks: Vec::new() }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().expect("tempdir");
    let run = dir.path().join("runs/one");
    let header = header(&["a"]);
    let records = vec![target(0, 9, true), begins(1, "a"), sample(2, 4096), ends(3, "a")];
    let footer = Footer { at: Moment(4), interrupted: true, overhead: Overhead { ticks: 3, ..Overhead::default() } };
    write_all(&run, &header, &records, SizeBound::default()).finish(&footer).expect("finish");
    for path in [run.clone(), run.join(FILE_NAME)] {
        let recording = read(&path).expect("read");
        let expected = Recording {
            header: header.clone(),
            records: records.clone(),
            footer: Some(footer.clone()),
            remarks: vec![],
        };
        assert_eq!(recording, expected);
    }
}

#[test]
fn a_recording_is_not_written_over() {
    let dir = tempfile::tempdir().expect("tempdir");
    let create = || Writer::create(&run_dir(dir.path()), &header(&[]), SizeBound::default(), Redactor::default());
    drop(create().expect("first"));
    let error = create().expect_err("second");
    assert!(matches!(error, RecordingError::Exists(_)), "{error}");
    assert!(error.to_string().contains("--out"), "{error}");
}

#[test]
fn a_cut_at_every_byte_leaves_the_whole_lines() {
    let dir = tempfile::tempdir().expect("tempdir");
    let records = vec![target(0, 9, true), begins(1, "a"), sample(2, 4096), sample(3, 8192), ends(4, "a")];
    write_all(dir.path(), &header(&["a"]), &records, SizeBound::default()).finish(&Footer::default()).expect("finish");
    let whole = fs::read(dir.path().join(FILE_NAME)).expect("bytes");
    let header_end = whole.iter().position(|&byte| byte == b'\n').expect("a line");
    let cut = dir.path().join("cut.jsonl");
    for length in 0..whole.len() {
        fs::write(&cut, &whole[..length]).expect("write");
        if length < header_end {
            let error = read(&cut).expect_err("nothing recorded");
            assert!(matches!(error, RecordingError::Empty(_)), "{length}: {error}");
            continue;
        }
        let recording = read(&cut).unwrap_or_else(|error| panic!("{length}: {error}"));
        // A line that lacks nothing but its line feed is whole.
        let bodies = whole[header_end + 1..].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let mut end = header_end;
        let complete = bodies.take_while(|line| {
            end += 1 + line.len();
            end <= length
        });
        let complete = complete.count();
        assert_eq!(recording.records, records[..complete.min(records.len())], "{length}");
        assert_eq!(recording.footer.is_some(), complete > records.len(), "{length}");
        let on_border = whole[length - 1] == b'\n' || whole[length] == b'\n';
        let told = recording.remarks.iter().any(|remark| remark.contains("was cut"));
        assert_eq!(told, !on_border, "{length}: {:?}", recording.remarks);
    }
}

#[test]
fn a_broken_line_in_the_middle_is_named() {
    let dir = tempfile::tempdir().expect("tempdir");
    write_all(dir.path(), &header(&[]), &[sample(1, 1)], SizeBound::default());
    let path = dir.path().join(FILE_NAME);
    let good = fs::read_to_string(&path).expect("text");
    for (middle, word) in [
        ("{\"kind\":\"sam", "EOF"),
        ("{\"kind\":\"tide\"}", "tide"),
        ("", "EOF"),
        ("{\"kind\":\"sample\",\"at\":-1}", "-1"),
        ("{\"kind\":\"sample\",\"at\":1}garbage", "trailing"),
    ] {
        let last = good.lines().last().expect("a line");
        fs::write(&path, format!("{good}{middle}\n{last}\n")).expect("write");
        let error = read(&path).expect_err(middle).to_string();
        assert!(error.contains("line 3 of") && error.contains(word), "{middle}: {error}");
        // The same text at the end of the file is a cut line.
        fs::write(&path, format!("{good}{middle}\n")).expect("write");
        let recording = read(&path).expect("a cut file");
        assert_eq!(recording.records.len(), 1);
        assert!(recording.remarks[0].contains("line 3"), "{:?}", recording.remarks);
    }
}

#[test]
fn files_that_are_no_recordings_are_refused() {
    let dir = tempfile::tempdir().expect("tempdir");
    let missing = read(dir.path()).expect_err("no file").to_string();
    assert!(missing.contains("there is no recording at") && missing.contains(FILE_NAME), "{missing}");
    let path = dir.path().join(FILE_NAME);
    for (text, words) in [
        ("", "nothing was recorded"),
        ("\n", "not a tidewatch recording"),
        ("hello\n", "not a tidewatch recording"),
        ("{\"a\":1}\n", "missing field `format`"),
        ("{\"format\":\"other/1\"}\n", "its format is `other/1`"),
        ("{\"format\":\"tidewatch-recording/x\"}\n", "its format is"),
        ("{\"format\":\"tidewatch-recording/1\"}\n", "line 1 of"),
    ] {
        fs::write(&path, text).expect("write");
        let error = read(&path).expect_err(text).to_string();
        assert!(error.contains(words), "{text:?}: {error}");
    }
}

#[test]
fn a_newer_format_names_the_version_that_reads_it() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, "{\"format\":\"tidewatch-recording/2\",\"tidewatch\":\"3.1.4\",\"plan\":7}\n").expect("write");
    let error = read(&path).expect_err("newer").to_string();
    let ours = env!("CARGO_PKG_VERSION");
    assert!(
        error.ends_with(&format!(
            "was written by tidewatch 3.1.4 (tidewatch-recording/2); this is tidewatch {ours}, which reads \
             tidewatch-recording/1; use tidewatch 3.1.4 or newer"
        )),
        "{error}"
    );
}

#[test]
fn gauges_without_a_number_are_left_out() {
    let dir = tempfile::tempdir().expect("tempdir");
    let gauges = [("a", f64::NAN), ("b", 1.5), ("c", f64::INFINITY)].map(|(name, value)| (name.to_owned(), value));
    let detail = Record::Detail(Box::new(Detail { gauges: gauges.into(), ..Detail::default() }));
    write_all(dir.path(), &header(&[]), &[detail], SizeBound::default());
    let recording = read(dir.path()).expect("read");
    let Record::Detail(detail) = &recording.records[0] else { panic!("a detail") };
    assert_eq!(detail.gauges, [("b".to_owned(), 1.5)].into());
}

/// A saw that climbs: each span of 100 samples has a floor and a peak that no other sample shares.
fn saw(index: u64) -> u64 {
    let (span, within) = (index / 100, index % 100);
    match within {
        37 => 1_000_000 + span,
        71 => 9_000_000 + span,
        _ => 5_000_000 + (index * 7919) % 1000,
    }
}

#[test]
fn thinning_keeps_floors_peaks_and_marks_and_stays_under_its_bound() {
    let dir = tempfile::tempdir().expect("tempdir");
    let bound = 256 * 1024;
    let mut writer =
        Writer::create(&run_dir(dir.path()), &header(&["a"]), SizeBound::Bytes(bound), Redactor::default())
            .expect("create");
    let spans = 200;
    writer.write(&begins(0, "a")).expect("mark");
    for index in 0..spans * 100 {
        if index % 100 == 0 {
            let cycle = (index / 100) as u32 + 1;
            let border = Border::PhaseBegins { phase: Phase::Load, cycle };
            writer.write(&mark(index * 100_000, border)).expect("mark");
        }
        writer.write(&sample(index * 100_000, saw(index))).expect("sample");
        let size = fs::metadata(writer.path()).expect("file").len();
        assert!(size <= bound, "{size} bytes at sample {index}");
    }
    writer.finish(&Footer::default()).expect("finish");
    let recording = read(dir.path()).expect("read");
    let values: Vec<u64> = recording
        .records
        .iter()
        .filter_map(|record| if let Record::Sample(sample) = record { sample.anonymous } else { None })
        .collect();
    for span in 0..spans {
        assert!(values.contains(&(1_000_000 + span)), "floor of span {span}");
        assert!(values.contains(&(9_000_000 + span)), "peak of span {span}");
    }
    let marks = recording.records.iter().filter(|record| matches!(record, Record::Mark(_))).count();
    assert_eq!(marks as u64, spans + 1);
    let dropped: Vec<u64> = recording
        .records
        .iter()
        .filter_map(
            |r| if let Record::Event { event: Event::Thinned { dropped }, .. } = r { Some(*dropped) } else { None },
        )
        .collect();
    assert_eq!(dropped.iter().sum::<u64>() + values.len() as u64, spans * 100);
    assert!(recording.records.is_sorted_by_key(Record::at), "the order of time is kept");
    let names: Vec<_> = fs::read_dir(dir.path()).expect("dir").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(names, [FILE_NAME], "no temporary file is left");
}

#[test]
fn a_failed_thinning_leaves_the_old_file_and_is_told() {
    let dir = tempfile::tempdir().expect("tempdir");
    let obstacle = dir.path().join("recording.jsonl.thinning/full");
    fs::create_dir_all(&obstacle).expect("a folder in the way");
    let records: Vec<_> = (0..400).map(|index| sample(index * 100_000, saw(index))).collect();
    write_all(dir.path(), &header(&[]), &records, SizeBound::Bytes(16 * 1024));
    let recording = read(dir.path()).expect("read");
    let samples = recording.records.iter().filter(|record| matches!(record, Record::Sample(_))).count();
    assert_eq!(samples, 400);
    let told = recording.records.iter().any(|record| {
        matches!(record, Record::Event { event: Event::Note { text }, .. } if text.contains("could not be thinned"))
    });
    assert!(told);
}

#[test]
fn what_cannot_be_thinned_is_kept_without_thrashing() {
    let dir = tempfile::tempdir().expect("tempdir");
    let note = |at| Record::Event { at: Moment(at), event: Event::Note { text: "x".repeat(100) } };
    let records: Vec<_> = (0..500).map(note).collect();
    write_all(dir.path(), &header(&[]), &records, SizeBound::Bytes(8 * 1024));
    let recording = read(dir.path()).expect("read");
    let notes = recording.records.iter().filter(|r| matches!(r, Record::Event { event: Event::Note { .. }, .. }));
    assert_eq!(notes.count(), 500);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_whole_lines_and_says_what_to_do() {
    // RLIMIT_FSIZE would end the test runner; /dev/full fails each write as a full disk does.
    let error = RecordingError::write(Path::new("/runs/x/recording.jsonl"), {
        use std::io::Write;
        let mut full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        full.write_all(b"x").expect_err("full")
    });
    let text = error.to_string();
    for words in ["/runs/x/recording.jsonl", "No space left", "make room", "readable"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_passage_begins_with_its_target_and_ends_with_its_scenario() {
    let records = vec![
        target(0, 1, true),
        target(1, 2, true),
        sample(2, 1),
        begins(3, "a"),
        sample(4, 2),
        ends(5, "a"),
        sample(6, 3),
        begins(7, "b"),
        ends(8, "b"),
        target(9, 3, true),
        begins(10, "unknown"),
        ends(11, "unknown"),
        target(12, 4, false),
        target(12, 5, false),
        begins(13, "c"),
        sample(14, 4),
    ];
    let recording = in_memory(header(&["a", "b", "c"]), records);
    let passages = recording.passages();
    let borders: Vec<_> = passages
        .iter()
        .map(|p| {
            let at = |record: Option<&Record>| record.map(|record| record.at().0);
            (p.plan.name.as_str(), at(p.records.first()), at(p.records.last()), p.end.is_some())
        })
        .collect();
    assert_eq!(
        borders,
        [("a", Some(1), Some(5), true), ("b", Some(6), Some(8), true), ("c", Some(12), Some(14), false)]
    );
    assert_eq!(passages[2].records.len(), 4, "both targets of an attach belong to it");
}

#[test]
fn targets_are_listed_with_their_ends() {
    let ending = Ending { how: How::Signalled(9), expected: false, evidence: vec!["killed".into()] };
    let event = Event::TargetEnds { process: Process { pid: 1, start: 7 }, ending: ending.clone() };
    let records =
        vec![target(0, 1, true), Record::Event { at: Moment(5), event }, target(6, 1, true), target(7, 2, false)];
    let recording = in_memory(header(&[]), records);
    let ends: Vec<_> = recording.targets().iter().map(|t| (t.process.pid, t.fresh, t.ended)).collect();
    assert_eq!(ends, [(1, true, Some((Moment(5), &ending))), (1, true, None), (2, false, None)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_record_is_read_as_it_was_written(record in any_record()) {
        let mut line = Vec::new();
        format::encode_record(&record, &mut line).expect("encode");
        prop_assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line");
        let back = format::decode(line.trim_ascii_end()).expect("decode");
        prop_assert_eq!(back, format::Line::Record(record));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = format::decode(&bytes);
    }
}

/// The lines that `docs/recording-format.md` shows, between fences marked `json`.
#[test]
fn the_examples_of_the_documentation_are_read() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recording-format.md")).expect("docs");
    let lines: Vec<&str> = text
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .flat_map(str::lines)
        .filter(|line| !line.trim().is_empty())
        .collect();
    assert!(lines[0].starts_with("{\"format\":\"tidewatch-recording/1\""), "{}", lines[0]);
    let dir = tempfile::tempdir().expect("tempdir");
    fs::write(dir.path().join(FILE_NAME), lines.join("\n") + "\n").expect("write");
    let recording = read(dir.path()).expect("the examples form a recording");
    assert!(recording.remarks.is_empty(), "{:?}", recording.remarks);
    let names: Vec<String> = recording.records.iter().map(name_of).collect();
    for name in [
        "sample",
        "detail",
        "scenario-begins",
        "phase-begins",
        "scenario-ends",
        "target-begins",
        "target-ends",
        "appeared",
        "vanished",
        "missing",
        "peak-reset",
        "thinned",
        "note",
    ] {
        assert!(names.iter().any(|n| n == name), "no example of {name} in {names:?}");
    }
    // What is shown is what is written: encoding again gives the same lines.
    for (record, line) in recording.records.iter().zip(&lines[1..]) {
        let mut again = Vec::new();
        format::encode_record(record, &mut again).expect("encode");
        assert_eq!(String::from_utf8_lossy(&again).trim_end(), *line);
    }
}

fn name_of(record: &Record) -> String {
    let value = serde_json::to_value(record).expect("a value");
    let tag = ["border", "event", "kind"].into_iter().find_map(|tag| value.get(tag).and_then(|v| v.as_str()));
    tag.unwrap_or_default().to_owned()
}
