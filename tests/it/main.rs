//! Tests of the program as a whole, in one binary: each file is a story of one part.

mod guardian;
