//! Refusals whose cause is made up.
