use std::time::Duration;

use super::*;
use crate::scenario::{Leave, Load, Opening, Origin, Pace, Ready, Restart, Step, Work};

const TARGET: &str = "[target]\nlaunch = [\"app\"]\nport = 80\n";

fn environment(name: &str) -> Option<String> {
    (name == "TOKEN").then(|| "s3cret".to_owned())
}

fn read(source: &str) -> Result<Script, ScriptError> {
    read_with(source, &[], &[])
}

fn read_with(source: &str, vars: &[(&str, &str)], select: &[&str]) -> Result<Script, ScriptError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(FILE_NAME), source).expect("written");
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let select: Vec<String> = select.iter().map(|name| (*name).to_owned()).collect();
    load_with(folder.path(), &vars, &select, &environment)
}

/// `LINE:COLUMN: MESSAGE` for each mistake.
fn mistakes(source: &str) -> Vec<String> {
    match read(source) {
        Err(ScriptError::Wrong { problems, .. }) => problems.iter().map(Problem::to_string).collect(),
        other => panic!("{source}\n{other:?}"),
    }
}

const WHOLE: &str = include_str!("tests/whole.toml");

#[test]
fn the_file_of_the_design_is_read_whole() {
    let script = read_with(WHOLE, &[("leak", "all")], &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(script.fixed.vars["leak"], "all");
    let names: Vec<&str> = script.plan.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    assert_eq!(names, ["startup", "work-items", "abandoned", "edits", "connections"], "idle ones run first");
    assert!(matches!(&script.target.origin, Origin::Launch(argv) if argv[4].source() == "{{ var.leak }}"));
    assert!(matches!(&script.target.ready, Ready::Stdout { within, .. } if *within == Duration::from_secs(30)));
    assert_eq!(script.target.restart, Restart::PerScenario);
    assert_eq!(script.plan.memory_limit, Some(512 << 20));
    assert_eq!(script.plan.thresholds, ["private != unbounded", "fds != unbounded"]);
    let places: Vec<_> = script.thresholds.iter().map(|t| (t.scenario.as_deref(), t.line, t.column)).collect();
    assert_eq!(places, [(None, 65, 8), (None, 65, 32), (Some("work-items"), 36, 15), (Some("work-items"), 36, 39)]);

    let [idle, flood, abandon, edits, churn] = script.scenarios.as_slice() else { panic!("five") };
    assert!(matches!(idle.work, Work::Idle));
    assert_eq!((idle.plan.smallest.memory, idle.plan.smallest.count), (1024.0, 0.2));
    assert_eq!(flood.pace, Pace::Open { per_second: 2000.0, most_at_once: 40 });
    let Work::Flood { step: Step::Http(http), .. } = &flood.work else { panic!("{:?}", flood.work) };
    assert_eq!((&http.expect, &http.counts), (&vec![201, 429], &vec![201]));
    assert_eq!(
        http.body.as_ref().map(|body| body.source()),
        Some(r#"{"id":"{{ uuid }}","description":"{{ text(120) }}"}"#)
    );
    assert_eq!(flood.plan.production[3].rate.as_per_hour().round(), 10_000.0);
    assert!((flood.max_errors - 0.01).abs() < 1e-12);
    assert!(matches!(&abandon.work, Work::Abandon { leave: Leave::Reset, open: Opening::Sse { .. }, .. }));
    assert_eq!(abandon.pace, Pace::Closed { workers: 4 });
    assert!(matches!(&edits.work, Work::LongSession { open: Opening::WebSocket { .. }, close: Leave::Close, .. }));
    let Work::Churn { uses, .. } = &churn.work else { panic!("{:?}", churn.work) };
    assert!(matches!(&uses[0], Step::Send { until: Some(until), .. } if until.source() == "PONG"));
    assert_eq!(churn.load, Load::For(Duration::from_millis(750)));
    assert_eq!(churn.plan.steps, ["connect 127.0.0.1:{{ port }}", r#"send "PING\n" until "PONG""#, "close"]);
}

/// A scenario's lines after a target that is right; the scenario begins at line 4.
fn scenario(lines: &str) -> String {
    format!("{TARGET}[[scenario]]\nname = \"s\"\n{lines}\n")
}

fn flood(lines: &str) -> String {
    scenario(&format!("shape = \"flood\"\nstep = {{ http = {{ url = \"/\" }} }}\n{lines}"))
}

#[test]
fn mistakes_at_the_top_are_named_with_their_place() {
    let ok = format!("{}\n", flood("").trim_end());
    for (source, expected) in [
        ("[target\n".into(), "1:8: not TOML: "),
        (format!("sede = 1\n{ok}"), "1:1: unknown key `sede` in the file; did you mean `seed`?"),
        ("[target]\nlaunch = [\"a\"]\n".into(), "1:1: the file needs `scenario`, like [[scenario]] with"),
        (ok.replace("launch", "lunch"), "2:1: unknown key `lunch` in [target]; did you mean `launch`?"),
        (ok.replace("[\"app\"]", "\"app\""), "2:10: `launch` must be a list of the program and its arguments, "),
        (ok.replace("[\"app\"]", "[]"), "2:10: `launch` is empty"),
        (ok.replace("port = 80", "port = 70000"), "3:8: `port` must be from 1 to 65535"),
        (ok.replace("port = 80", "port = \"fre\""), "3:8: unknown port `fre`; did you mean `free`?"),
        (
            ok.replace("launch = [\"app\"]\nport = 80", "attach = { pid = 1 }\nport = \"free\""),
            "3:8: `port` goes with `launch`; this target is attached to",
        ),
        (
            ok.replace("port = 80", "port = \"free\"\nbuild = [\"cc\", \"{{ port }}\"]"),
            "4:16: `port` has no value: give `port = N` in [target]",
        ),
        (ok.replace("port = 80", "port = 80\nheap = \"on\""), "4:8: `heap` must be true or false, not a text"),
        (
            ok.replace("port = 80", "memory_limit = \"5Q\"\nport = 80"),
            "3:16: `memory_limit`: `5Q` is not an amount of memory",
        ),
        (
            ok.replace("port = 80", "ready = { stdout = '(' }"),
            "3:20: `ready.stdout` is no regular expression: unclosed group",
        ),
        (
            ok.replace("port = 80", "ready = { stdot = 'x' }"),
            "3:11: unknown key `stdot` in `ready`; did you mean `stdout`?",
        ),
        (ok.replace("port = 80", "ready = { stdout = 'x', within = \"5\" }"), "3:34: `within`: `5` is not a duration"),
        (
            ok.replace("port = 80", "ready = { stdout = 'x' }"),
            "7:25: the path `/` is on the target's port: `port` has no value",
        ),
        (ok.replace("port = 80", "cwd = \"nowhere\"\nport = 80"), "3:7: `cwd`: cannot enter "),
        (ok.replace("launch = [\"app\"]", "attach = { pid = 0 }"), "2:18: `pid` must be from 1 to 4194304"),
        (
            ok.replace("launch = [\"app\"]", "attach = { pid = 1 }\nrestart = true"),
            "3:11: `restart` needs a launched target",
        ),
        (
            ok.replace("[\"app\"]", "[\"{{ var.leek }}\"]"),
            "2:11: unknown variable `var.leek` in a template; declare it in [vars]",
        ),
        (ok.replace("[\"app\"]", "[\"{{ env.TOKN }}\"]"), "2:11: the environment has no variable `TOKN`"),
        (format!("{ok}[gauges]\nprometheus = \"http://127.0.0.1:9/m\"\n"), "8:1: [gauges] needs `names`, like "),
        (
            format!("{ok}[[subsystem]]\nname = \"A\"\npriority = \"P9\"\n"),
            "10:12: unknown priority `P9`; did you mean `P0`?",
        ),
        (
            format!("{ok}[[subsystem]]\nname = \"A\"\nowns = {{ gauges = [\"q\"] }}\n"),
            "10:20: gauge `q` is not in [gauges] names",
        ),
        (
            format!("{ok}[[subsystem]]\nname = \"A\"\nowns = {{ fds = [\"tpc:*\"] }}\n"),
            "10:17: unknown kind of descriptor `tpc`; did you mean `tcp`?",
        ),
        (
            format!("{ok}[[subsystem]]\nname = \"A\"\nowns = {{ frame = [\"x\"] }}\n"),
            "10:10: unknown key `frame` in `owns`; did you mean `frames`?",
        ),
        (format!("{ok}[subsystem]\nname = \"A\"\n"), "8:1: write [[subsystem]] with two brackets"),
        (
            format!("{ok}[thresholds]\nall = [\"privat != unbounded\"]\n"),
            "9:8: threshold `privat != unbounded`: `privat` is not a metric; did you mean `private`?",
        ),
        (
            format!("{ok}[thresholds]\nall = [\"fds:tpc.growth <= 2\"]\n"),
            "9:8: threshold `fds:tpc.growth <= 2`: `fds:tpc` is not a metric; did you mean `fds:tcp`?",
        ),
        (
            format!("{ok}[thresholds]\nall = [\"private\"]\n"),
            "9:8: threshold `private`: a threshold is METRIC.STATISTIC OP VALUE",
        ),
        (
            format!("{ok}[thresholds]\nall = [\"gauge:q.growth < 1\"]\n"),
            "9:8: threshold `gauge:q.growth < 1`: gauge `q` is not in [gauges] names",
        ),
        (format!("{ok}[[scenario]]\nname = \"s\"\nshape = \"idle\"\n"), "9:1: two scenarios are called `s`"),
    ] {
        let found = mistakes(&source);
        assert!(found.len() == 1, "{source}\n{found:#?}");
        assert!(found[0].starts_with(expected), "{source}\nfound    {}\nexpected {expected}", found[0]);
    }
}

#[test]
fn mistakes_in_scenarios_are_named_with_their_place() {
    let open = "shape = \"churn\"\nopen = { tcp = { connect = \"127.0.0.1:1\" } }\n";
    for (source, expected) in [
        (scenario("shape = \"flod\""), "6:9: unknown shape `flod`; did you mean `flood`?"),
        (scenario("shape = 5"), "6:9: `shape` must be a text, not a whole number"),
        (scenario("shape = \"flood\""), "4:1: [[scenario]] needs `step`, like "),
        (scenario("shape = \"flood\"\nstep = { htp = {} }"), "7:10: unknown key `htp` in `step`; did you mean `http`?"),
        (
            scenario("shape = \"flood\"\nstep = { send = \"x\" }"),
            "7:17: `send` does not fit here: a flood has no open session",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"items\" } }"),
            "7:25: `items` is not an address; write \"/path\"",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"htps://127.0.0.1/\" } }"),
            "7:25: `htps://` does not fit here; did you mean `https`?",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"http://example.com/\" } }"),
            "7:25: `example.com` is not this machine",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"/{{ idd }}\" } }"),
            "7:25: unknown variable `idd` in a template; known are op, session, uuid, text, port, var.NAME",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"/\", method = \"post\" } }"),
            "7:39: `post` is not an HTTP method",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"/\", expect = [201], counts = [200] } }"),
            "7:55: `counts` has 200, which is not in `expect`",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"/\", expect = [\"2x\"] } }"),
            "7:40: `2x` is not a status",
        ),
        (
            scenario("shape = \"flood\"\nstep = { http = { url = \"/\", json = {}, body = \"\" } }"),
            "7:48: `json` and `body` exclude each other in `http`",
        ),
        (flood("rate = \"2000\""), "8:8: `rate`: `2000` is not a rate"),
        (flood("rate = 5"), "8:8: `rate` must be a text, not a whole number"),
        (flood("rate = \"2000/s\"\nworkers = 3"), "9:11: `rate` and `workers` exclude each other in [[scenario]]"),
        (flood("workers = 0"), "8:11: `workers` must be from 1 to 65536"),
        (flood("edit = {}"), "8:1: `edit` belongs to the shape long-session; this one is flood"),
        (flood("setle = \"4s\""), "8:1: unknown key `setle` in [[scenario]]; did you mean `settle`?"),
        (flood("load = { for = \"1y\" }"), "8:16: `for`: `1y` is not a duration"),
        (flood("cycles = { min = 60 , max = 50 }"), "8:10: `cycles.min` is 60 and `cycles.max` only 50"),
        (flood("cycles = { mim = 60 }"), "8:12: unknown key `mim` in `cycles`; did you mean `min`?"),
        (flood("max_errors = \"1\""), "8:14: `max_errors` must be a share"),
        (flood("smallest = { memory = \"1KiB/s\" }"), "8:23: `memory`: `1KiB/s` is not an amount of memory"),
        (flood("smallest = { count = 0 }"), "8:22: `smallest.count` must be more than nothing"),
        (flood("subsystem = \"WorkQueue\""), "8:13: unknown subsystem `WorkQueue`; add a [[subsystem]] of that name"),
        (flood("production = { heavy = \"10\" }"), "8:24: `production.heavy`: `10` is not a rate"),
        (
            flood("thresholds = [\"fd.growth <= 2\"]"),
            "8:15: threshold `fd.growth <= 2`: `fd` is not a metric; did you mean `fds`?",
        ),
        (flood("before_settle = { send = \"x\" }"), "8:26: `send` does not fit here: it stands outside"),
        (scenario("shape = \"idle\"\nrate = \"1/s\""), "7:1: `rate` does not fit the shape idle, which loads nothing"),
        (
            scenario("shape = \"idle\"\nsmallest = { memory = \"1KiB\" }"),
            "7:23: `memory`: `1KiB` is not an amount of memory per time",
        ),
        (scenario("shape = \"idle\"\nload = { operations = 5 }"), "7:23: `operations` does not fit the shape idle"),
        (scenario(&format!("{open}close = \"stall\"")), "8:9: unknown close `stall`; valid are close, reset"),
        (scenario(&format!("{open}use = [{{ command = [] }}]")), "8:20: `command` is empty"),
        (scenario("shape = \"churn\"\nopen = { stdio = {} }"), "7:8: a target has one standard input"),
        (
            scenario("shape = \"abandon\"\nopen = { sse = { url = \"/\" } }\nduring = [{ send = \"x\" }]"),
            "8:20: `send` does not fit here: server-sent events go one way",
        ),
        (
            scenario("shape = \"abandon\"\nopen = { http = { url = \"/\" } }\nleave = \"reset\""),
            "8:9: `leave` must be \"close\" here",
        ),
        (
            scenario("shape = \"long-session\"\nworkers = 2\nopen = { stdio = {} }\nedit = { send = \"x\" }"),
            "7:1: `workers` does not fit the shape long-session",
        ),
    ] {
        let found = mistakes(&source);
        assert!(found[0].starts_with(expected), "{source}\nfound    {found:#?}\nexpected {expected}");
        assert!(found.len() == 1, "{source}\n{found:#?}");
    }
}

#[test]
fn several_mistakes_are_reported_together_in_the_order_of_the_file() {
    let source = flood("rate = \"5\"\nsetle = \"4s\"");
    let error = read(&source).expect_err("two mistakes").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].contains("tidewatch.toml:8:8: ") && lines[1].contains("tidewatch.toml:9:1: "), "{error}");
}

#[test]
fn a_file_that_cannot_decide_is_refused_with_the_number_it_needs() {
    for (lines, words) in [
        (
            "rate = \"500/s\"\nsmallest = { count = 1e-4 }",
            "8,1: scenario `s` cannot decide: it makes at most 20,250 operations, and smallest.count = 1.0e-4 needs 30,000; raise cycles.max to 76, rate to 741/s, or ask for less: smallest = { count = 1.5e-4 }",
        ),
        (
            "rate = \"500/s\"\ncycles = { max = 9, min = 5 }",
            "cannot decide: 9 cycles at most, and a verdict needs 10; raise cycles.max",
        ),
        (
            "rate = \"2000/s\"\nmin_operations = 100000",
            "min_operations = 100000 needs 100k; raise cycles.max to 63, rate to 2,470/s",
        ),
        ("rate = \"2000/s\"\nsmallest = { memory = \"0.1B\" }", "smallest.memory = 0.1 B needs 123k"),
    ] {
        let found = mistakes(&flood(lines));
        let words = words.trim_start_matches("8,1: ");
        assert!(found.len() == 1 && found[0].starts_with("5:1: ") && found[0].contains(words), "{found:#?}\n{words}");
    }
    let short = "shape = \"idle\"\nload = { for = \"50ms\" }\nsettle = \"10ms\"\ncycles = { max = 20 }";
    read(&scenario(short)).expect("what nobody names follows the run");
    let idle = mistakes(&scenario(&format!("{short}\nsmallest = {{ count = \"0.2/s\", memory = \"1KiB/s\" }}")));
    assert!(
        idle[0].contains("it makes at most 4 s, and smallest.count = 0.2/s needs 15; raise cycles.max to 200"),
        "{idle:?}"
    );
    assert!(idle[0].contains("smallest = { count = \"7.2e-1/s\", memory = \"3000B/s\" }"), "{idle:?}");
    // What it advises is enough.
    for lines in [
        "rate = \"741/s\"\nsmallest = { count = 1e-4 }",
        "rate = \"500/s\"\nsmallest = { count = 1e-4 }\ncycles = { max = 76 }",
        "rate = \"500/s\"\nsmallest = { count = 1.5e-4 }",
    ] {
        read(&flood(lines)).unwrap_or_else(|error| panic!("{lines}: {error}"));
    }
    // How fast a closed loop goes is not known beforehand.
    read(&flood("workers = 1")).expect("a closed loop is not refused");
}

#[test]
fn what_the_command_line_names_must_be_there() {
    let source = format!("[vars]\nleak = 1\n{}", flood("rate = \"2000/s\""));
    let message =
        |vars: &[(&str, &str)], select: &[&str]| read_with(&source, vars, select).expect_err("wrong").to_string();
    assert!(
        message(&[("leek", "x")], &[]).starts_with("--var leek: the file has no such variable; did you mean `leak`?")
    );
    assert!(
        message(&[], &["t"]).starts_with("no scenario is called `t`; did you mean `s`? there are s"),
        "{}",
        message(&[], &["t"])
    );
    assert_eq!(read_with(&source, &[], &["s"]).expect("right").fixed.vars["leak"], "1");
    let missing = load(Path::new("/nonexistent/x.toml"), &BTreeMap::new(), &[]).expect_err("missing").to_string();
    assert!(missing.starts_with("no scenario file at /nonexistent/x.toml"), "{missing}");
}

#[test]
fn only_the_chosen_scenarios_and_their_thresholds_stay() {
    let script = read_with(WHOLE, &[], &["edits", "startup"]).expect("right");
    let names: Vec<&str> = script.scenarios.iter().map(|scenario| scenario.plan.name.as_str()).collect();
    assert_eq!(names, ["startup", "edits"]);
    assert_eq!(script.plan.scenarios.len(), 2);
    assert_eq!(script.thresholds.len(), 2);
}

#[test]
fn secrets_are_in_no_plan_and_no_debug_output() {
    let source = scenario(
        "shape = \"flood\"\nstep = { http = { url = \"/?t={{ env.TOKEN }}\", headers = { a = \"{{ env.TOKEN }}\" } } }",
    );
    let script = read(&source).expect("right");
    assert_eq!(script.fixed.env["TOKEN"], "s3cret");
    assert!(!format!("{script:?}").contains("s3cret"));
    assert_eq!(script.plan.scenarios[0].steps, ["GET /?t={{ env.TOKEN }}"]);
}

#[test]
fn a_captured_value_is_known_to_later_steps_only() {
    let step = |url: &str| format!("{{ http = {{ url = \"{url}\", capture = {{ id = \"item.id\" }} }} }}");
    read(&scenario(&format!("shape = \"flood\"\nstep = {}\nthen = [{}]", step("/"), step("/{{ id }}"))))
        .expect("right");
    let early = mistakes(&scenario(&format!("shape = \"flood\"\nstep = {}", step("/{{ id }}"))));
    assert!(early[0].starts_with("7:25: unknown variable `id`"), "{early:?}");
}

#[test]
fn a_dry_run_predicts_time_and_operations() {
    let script = read(&flood("rate = \"2000/s\"\ncycles = { min = 20, max = 40 }")).expect("right");
    let dry = describe(&script);
    let ms = Duration::from_millis;
    assert_eq!(dry.duration, Span { least: ms(3000 + 20 * 1150), most: ms(3000 + 40 * 1150) });
    assert_eq!(dry.scenarios[0].operations, Some(Span { least: 36_000, most: 66_000 }));
    assert_eq!(dry.scenarios[0].pace, "2,000/s, at most 40 at once");
    let closed = describe(&read(&flood("load = { operations = 5 }")).expect("right"));
    assert_eq!((closed.scenarios[0].operations, closed.scenarios[0].duration), (None, None));
}

#[test]
fn remote_hosts_must_be_allowed_by_name() {
    let lines = "shape = \"flood\"\nstep = { http = { url = \"http://Example.com:8080/\" } }";
    let allowed = format!("allow_remote = [\"example.COM\"]\n{}", scenario(lines));
    assert_eq!(read(&allowed).expect("right").allow_remote, ["example.com"]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z\\[\\]={}\",.0-9 \n]{0,120}") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        let _ = parse(&path, &text, &BTreeMap::new(), &environment);
        let _ = parse(&path, &flood(&text), &BTreeMap::new(), &environment);
    }
}

#[test]
fn every_example_of_the_guide_is_a_whole_file_that_loads() {
    let guide = include_str!("../../../docs/scenario-file.md");
    let examples: Vec<&str> =
        guide.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    let mut shapes: Vec<Shape> = Vec::new();
    for example in &examples {
        let script = read(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
        shapes.extend(script.scenarios.iter().map(|scenario| scenario.plan.shape));
    }
    assert_eq!(
        shapes,
        [Shape::Flood, Shape::Abandon, Shape::LongSession, Shape::Churn, Shape::Idle, Shape::Flood],
        "one for each shape, and one with a command"
    );
}

#[test]
fn every_default_of_the_guide_is_the_real_one() {
    let script = read(&flood("")).expect("right");
    let [flood] = script.scenarios.as_slice() else { panic!("one") };
    assert_eq!(flood.warmup, Duration::from_secs(3));
    assert_eq!(flood.settle, Duration::from_millis(400));
    assert_eq!(flood.load, Load::For(Duration::from_millis(750)));
    assert_eq!((flood.min_cycles, flood.max_cycles), (10, 50));
    assert_eq!((flood.plan.smallest.memory, flood.plan.smallest.count), (100.0, 1e-4));
    assert_eq!(flood.pace, Pace::Closed { workers: 4 });
    let Work::Flood { step: Step::Http(http), then } = &flood.work else { panic!("{:?}", flood.work) };
    assert_eq!((http.method.as_str(), http.within, then.len()), ("GET", Duration::from_secs(10), 0));
    assert_eq!(http.expect, (200..=299).collect::<Vec<u16>>());
    assert_eq!(http.counts, http.expect);
    assert_eq!((script.plan.seed, script.fixed.captures["port"].as_str()), (1, "80"));
}
