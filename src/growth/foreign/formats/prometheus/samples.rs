//! Samples as JSON holds them: pairs of time and value, or values alone.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use crate::growth::foreign::series::plausible;

/// A number, or a text that is one.
pub(super) struct Number(pub f64);

/// The samples of a series.
#[derive(Default)]
pub(super) struct Values {
    pairs: Vec<(f64, f64)>,
    bare: Vec<f64>,
}

impl Values {
    /// Values that stand with their times.
    pub fn pairs(self) -> Result<Vec<(f64, f64)>, String> {
        if self.bare.is_empty() { Ok(self.pairs) } else { Err("holds values without times".into()) }
    }

    /// Values whose times, in milliseconds, stand beside them.
    pub fn at(self, times: &[Number]) -> Result<Vec<(f64, f64)>, String> {
        if times.len() != self.bare.len() {
            return Err(format!("holds {} values and {} times", self.bare.len(), times.len()));
        }
        Ok(times.iter().map(|time| time.0 / 1000.0).zip(self.bare).collect())
    }
}

/// The labels as a query writes them.
pub(super) fn braced(metric: &BTreeMap<String, String>) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = metric.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", labels.join(","))
}

enum Item {
    Pair(f64, f64),
    Bare(f64),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sample;

        impl<'de> Visitor<'de> for Sample {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[time, value]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item, A::Error> {
                let mut next =
                    || list.next_element::<Number>()?.ok_or_else(|| A::Error::custom("a sample is [time, value]"));
                let (Number(time), Number(value)) = (next()?, next()?);
                match list.next_element::<Number>()? {
                    None => Ok(Item::Pair(time, value)),
                    Some(_) => Err(A::Error::custom("a sample is [time, value]")),
                }
            }

            fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
                Ok(Item::Bare(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
                Ok(Item::Bare(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
                Ok(Item::Bare(number as f64))
            }

            fn visit_unit<E>(self) -> Result<Item, E> {
                Ok(Item::Bare(f64::NAN))
            }
        }

        deserializer.deserialize_any(Sample)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Samples;

        impl<'de> Visitor<'de> for Samples {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of [time, value]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
                let mut values = Values::default();
                let mut before = f64::NEG_INFINITY;
                // What does not fit is refused here, where its line is known.
                while let Some(item) = list.next_element()? {
                    match item {
                        Item::Pair(time, value) => {
                            if time < before {
                                return Err(A::Error::custom(format!("goes back in time, from {before} to {time} s")));
                            }
                            if value.is_finite() {
                                plausible(value).map_err(A::Error::custom)?;
                            }
                            before = time;
                            values.pairs.push((time, value));
                        }
                        Item::Bare(value) => values.bare.push(value),
                    }
                }
                Ok(values)
            }
        }

        deserializer.deserialize_seq(Samples)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a text that is one")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number as f64))
            }

            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom(format!("`{text}` is not a number")))
            }
        }

        deserializer.deserialize_any(Text)
    }
}
