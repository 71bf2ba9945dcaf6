//! What the macro says about traits that cannot be objects.

#[test]
fn wrong_traits_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
