//! Carries values with the work, and keeps the map of it.
