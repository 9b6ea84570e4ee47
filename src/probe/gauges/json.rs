//! Gauges from a JSON document by dot path.

use std::collections::BTreeMap;

use serde_json::Value;

/// The numbers at these paths. What is no number (or is absent) is left out; `true` is 1 and `false` 0.
pub(super) fn select(body: &[u8], names: &[String]) -> Result<BTreeMap<String, f64>, String> {
    let document: Value = serde_json::from_slice(body).map_err(|error| format!("the answer is not JSON ({error})"))?;
    Ok(names.iter().filter_map(|name| Some((name.clone(), at(&document, name)?))).collect())
}

fn at(document: &Value, path: &str) -> Option<f64> {
    match find(document, path)? {
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        Value::Bool(flag) => Some(if *flag { 1.0 } else { 0.0 }),
        _ => None,
    }
}

/// Follows a path. A key may hold dots itself: the longest key that is there goes first.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let step = |key: &str| match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    };
    if let Some(found) = step(path) {
        return Some(found);
    }
    path.rmatch_indices('.').find_map(|(dot, _)| find(step(&path[..dot])?, &path[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_paths() {
        let body = br#"{"queue":{"items":12,"name":"q"},"a":[{"b":1.5},{"b":2}],"x.y":{"z":3},"on":true,"no":null}"#;
        let names = ["queue.items", "queue.name", "a.1.b", "a.9.b", "x.y.z", "on", "no", "", "queue"];
        let gauges = select(body, &names.map(String::from)).expect("a document");
        let expected = [("a.1.b", 2.0), ("on", 1.0), ("queue.items", 12.0), ("x.y.z", 3.0)];
        assert_eq!(gauges, expected.map(|(name, value)| (name.to_owned(), value)).into());
        assert!(select(b"<html>", &[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(body in "[\\[\\]{}\",:0-9a.]{0,60}", path in "[a.0-9]{0,20}") {
            let _ = select(body.as_bytes(), &[path]);
        }
    }
}
