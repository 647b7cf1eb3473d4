//! Says what the attributes are for.

#[tokio::main]
fn not_async() {}

#[tokio::test]
fn test_not_async() {}

#[tokio::main]
struct NoFunction;

#[tokio::test]
#[test]
async fn twice() {}

fn main() {}
