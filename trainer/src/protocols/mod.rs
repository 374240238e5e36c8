//! Splits of the events: who is asked what, and what was known.
