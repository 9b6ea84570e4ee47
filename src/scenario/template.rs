//! Texts that change from one operation to the next.
