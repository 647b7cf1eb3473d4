//! Makes as many kinds as there can be. In a process of its own, since kinds are never given back.

use forebear_hooks::Kind;

#[test]
fn the_kinds_beyond_the_limit_are_other_and_counted() {
    // 19 of them are built in; see `Kind::PIPE`, which is the last.
    let kinds: Vec<Kind> =
        (0..4096 - 19).map(|number| Kind::new(&format!("KIND {number}"))).collect();
    assert_eq!(kinds[4076].name(), "KIND 4076");
    assert!(!kinds.contains(&Kind::OTHER));
    assert_eq!(Kind::overflowed(), 0);

    assert_eq!(Kind::new("ONE TOO MANY"), Kind::OTHER);
    assert_eq!(Kind::new("ONE TOO MANY"), Kind::OTHER);
    assert_eq!(Kind::overflowed(), 2);
    // Those that there are go on being found.
    assert_eq!(Kind::new("KIND 7"), kinds[7]);
    assert_eq!(format!("[{:>8}] [{:?}]", kinds[7], kinds[7]), "[  KIND 7] [KIND 7]");
}
