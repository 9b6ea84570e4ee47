//! The ground floor: one reader for each file of `/proc`, pure parsers of bytes.

pub(crate) mod stat;
