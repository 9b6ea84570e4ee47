use super::*;
#[test]
fn measure_corpus() {
    let Ok(folder) = std::env::var("TIDEWATCH_CORPUS") else { return };
    let manifest: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{folder}/MANIFEST.json")).unwrap()).unwrap();
    let start = std::time::Instant::now();
    for c in manifest["curves"].as_array().unwrap() {
        let id = c["id"].as_str().unwrap();
        let res = c["resource"].as_str().unwrap();
        let unit = if res == "fds" || res == "threads" { crate::units::Unit::Count } else { crate::units::Unit::Bytes };
        let t = std::time::Instant::now();
        let g = judge_csv(std::path::Path::new(&format!("{folder}/{id}.csv")), unit).unwrap();
        let ms = t.elapsed().as_millis();
        println!(
            "ROW\t{id}\t{}\t{}\t{}\t{}\t{:?}\t{}\t{:?}\t{:?}\t{:?}\t{}\t{ms}\t{}\t{}",
            c["label"],
            c["shape"],
            c["class"],
            c["true_per_op"],
            g.verdict,
            g.suspected,
            g.decided_at,
            g.per_op.map(|p| (p.low, p.value, p.high)),
            g.sensitivity,
            g.floors.len(),
            c["forbidden_verdicts"],
            g.reason
        );
    }
    println!("TOTAL {:?}", start.elapsed());
}
