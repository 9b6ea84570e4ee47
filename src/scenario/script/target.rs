//! `[target]` and `[gauges]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;

use super::address::{self, Kind};
use super::reader::{Item, Table};
use crate::sample::HeapSampling;
use crate::scenario::template::Known;
use crate::scenario::{GaugeFormat, GaugeSpec, Origin, Port, Ready, Restart, TargetSpec};
use crate::units::Unit;

/// How long to wait for a target when the file does not say.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What `[target]` says, apart from how it is run.
pub(super) struct Target {
    pub(super) spec: TargetSpec,
    pub(super) memory_limit: Option<u64>,
    pub(super) heap: HeapSampling,
}

/// Reads `[target]`. What the ready pattern captures becomes known to everything read later.
pub(super) fn target(table: &Table<'_>, folder: &Path, known: &mut Known, allow_remote: &[String]) -> Option<Target> {
    // A build runs once, before a free port is chosen.
    let before_launch = known.clone();
    let port_item = table.get("port");
    let port = port_item.as_ref().map_or(Some(Port::Unknown), port);
    // Known even when its value is wrong: one mistake must not look like two.
    known.captures.extend(port_item.as_ref().map(|item| item.name.clone()));
    let origin_item = table.one_of(&["launch", "attach"]);
    let origin = origin_item.as_ref().and_then(|item| match item.name.as_str() {
        "launch" => item.argv(known).map(Origin::Launch),
        _ => attach(item),
    });
    let launched = !matches!(origin, Some(Origin::AttachPid(_) | Origin::AttachName(_)));
    if let (Some(item), Some(Port::Free)) = (&port_item, port) {
        only_launched(item, launched);
    }
    let build_knows = if port == Some(Port::Free) { &before_launch } else { &*known };
    let build = table.get("build").inspect(|item| only_launched(item, launched));
    let build = build.and_then(|item| item.argv(build_knows));
    let env = table.get("env").inspect(|item| only_launched(item, launched));
    let env = env.and_then(|item| item.named_templates(known)).unwrap_or_default();
    let cwd = table.get("cwd").map_or(Some(folder.to_path_buf()), |item| existing_folder(&item, folder));
    let ready = table.get("ready").map_or(Some(Ready::Immediately), |item| ready(&item, launched, known, allow_remote));
    let restart = match table.get("restart").and_then(|item| item.flag().map(|flag| (item, flag))) {
        Some((item, true)) if !launched => {
            item.problem("`restart` needs a launched target: what tidewatch did not start, it never ends");
            Restart::Never
        }
        Some((_, false)) => Restart::Never,
        _ if launched => Restart::PerScenario,
        _ => Restart::Never,
    };
    let memory_limit = table.get("memory_limit").and_then(|item| {
        let limit = item.quantity(Unit::Bytes)?;
        if limit < 4096.0 {
            item.problem("`memory_limit` is under one page; write it like \"512MiB\"");
        }
        Some(limit as u64)
    });
    let heap = match table.get("heap").and_then(|item| item.flag()) {
        Some(true) => HeapSampling::On,
        Some(false) | None => HeapSampling::Off,
    };
    table.finish();
    if origin_item.is_none() {
        const EXAMPLES: &str = "[target] needs `launch = [\"program\", \"argument\"]`, or `attach = { pid = 4242 }` \
             or `attach = { name = \"..\" }`";
        table.missing(&["launch", "attach"], EXAMPLES);
    }
    let spec = TargetSpec { build, origin: origin?, port: port?, cwd: cwd?, env, ready: ready?, restart };
    Some(Target { spec, memory_limit, heap })
}

fn only_launched(item: &Item<'_>, launched: bool) {
    if !launched {
        item.problem(format!("`{}` goes with `launch`; this target is attached to", item.name));
    }
}

/// A number, or `"free"`.
fn port(item: &Item<'_>) -> Option<Port> {
    if item.is_text() {
        return item.choice(&[("free", Port::Free)]);
    }
    item.whole(1..65_536).and_then(|port| u16::try_from(port).ok()).map(Port::Fixed)
}

fn attach(item: &Item<'_>) -> Option<Origin> {
    let table = item.table()?;
    let which = table.one_of(&["pid", "name"]);
    table.finish();
    match which {
        None => {
            table.missing(&["pid", "name"], "`attach` needs `pid = 4242` or `name = \"..\"`");
            None
        }
        Some(item) if item.name == "pid" => {
            item.whole(1..4_194_305).and_then(|pid| u32::try_from(pid).ok()).map(Origin::AttachPid)
        }
        Some(item) => item.text().map(|name| Origin::AttachName(name.to_owned())),
    }
}

fn existing_folder(item: &Item<'_>, folder: &Path) -> Option<PathBuf> {
    let path = folder.join(item.text()?);
    match path.canonicalize() {
        Ok(path) if path.is_dir() => Some(path),
        Ok(_) => {
            item.problem(format!("`{}` is no folder: {}", item.name, path.display()));
            None
        }
        Err(error) => {
            item.problem(format!("`{}`: cannot enter {}: {error}", item.name, path.display()));
            None
        }
    }
}

fn ready(item: &Item<'_>, launched: bool, known: &mut Known, allow_remote: &[String]) -> Option<Ready> {
    let table = item.table()?;
    let within = table.get("within").map_or(Some(READY_WITHIN), |item| item.duration());
    const KINDS: [&str; 4] = ["stdout", "stderr", "http", "tcp"];
    let which = table.one_of(&KINDS);
    table.finish();
    let Some(which) = which else {
        const EXAMPLE: &str = "{ stdout = 'port (?<port>\\d+)' }";
        table.missing(&KINDS, format!("`ready` needs one of stdout, stderr, http and tcp, like {EXAMPLE}"));
        return None;
    };
    let within = within?;
    match which.name.as_str() {
        "http" => address::read(&which, known, Kind::Ready, allow_remote).map(|url| Ready::Http { url, within }),
        "tcp" => address::read(&which, known, Kind::Socket, allow_remote).map(|address| Ready::Tcp { address, within }),
        stream => {
            only_launched(&which, launched);
            let pattern = Regex::new(which.text()?)
                .map_err(|error| {
                    which.problem(format!("`ready.{stream}` is no regular expression: {}", last_line(&error)))
                })
                .ok()?;
            known.captures.extend(pattern.capture_names().flatten().map(str::to_owned));
            Some(match stream {
                "stdout" => Ready::Stdout { pattern, within },
                _ => Ready::Stderr { pattern, within },
            })
        }
    }
}

/// What a regex error says after it has drawn where.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Reads `[gauges]`.
pub(super) fn gauges(table: &Table<'_>, known: &Known, allow_remote: &[String]) -> Option<GaugeSpec> {
    let source = table.one_of(&["prometheus", "json"]);
    let names = table.need("names", "[\"queue_items\"]").and_then(|item| item.texts());
    table.finish();
    let Some(source) = source else {
        table.missing(&["prometheus", "json"], "[gauges] needs `prometheus = \"http://..\"` or `json = \"http://..\"`");
        return None;
    };
    let format = if source.name == "json" { GaugeFormat::Json } else { GaugeFormat::Prometheus };
    let url = address::read(&source, known, Kind::Gauges, allow_remote)?;
    Some(GaugeSpec { url, format, names: names? })
}
