//! Checks what the compiler says of attributes that are wrong, and where it says so.
//!
//! `TRYBUILD=overwrite` writes down what it says now.

#[test]
fn wrong_attributes_are_told_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
