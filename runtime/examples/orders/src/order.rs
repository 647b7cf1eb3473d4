//! Says what an order is, and what a client must send to place one.

use serde::{Deserialize, Serialize};

/// What a client asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewOrder {
    pub(crate) item: String,
    pub(crate) quantity: u32,
    pub(crate) account_id: String,
}

/// An order that was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) item: String,
    pub(crate) quantity: u32,
    pub(crate) account_id: String,
    pub(crate) status: Status,
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Placed,
    Shipped,
}

const ITEM_CHARS_MAX: usize = 100;
const QUANTITY_MAX: u32 = 1000;

impl NewOrder {
    /// Says in one sentence what is wrong with it, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.item.trim().is_empty() {
            return Some("item must not be empty".to_owned());
        }
        if self.item.chars().count() > ITEM_CHARS_MAX {
            return Some(format!("item must have at most {ITEM_CHARS_MAX} characters"));
        }
        if !(1..=QUANTITY_MAX).contains(&self.quantity) {
            return Some(format!("quantity must be from 1 to {QUANTITY_MAX}"));
        }
        if !is_plain_id(&self.account_id) {
            return Some(format!("accountId must be {PLAIN_ID}"));
        }
        None
    }
}

/// How an id that comes from outside has to look, in words.
pub(crate) const PLAIN_ID: &str = "1 to 128 characters out of A-Z a-z 0-9 . _ -";

/// Says whether an id from outside may go into logs and headers as it is.
pub(crate) fn is_plain_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_makes_no_sense_is_told_why() {
        let check = |item: &str, quantity: u32, account_id: &str, want: Option<&str>| {
            let (item, account_id) = (item.to_owned(), account_id.to_owned());
            let problem = NewOrder { item, quantity, account_id }.problem();
            assert_eq!(problem.as_deref().map(|text| &text[..4]), want, "{problem:?}");
        };
        check("book", 1, "a-1", None);
        check(&"é".repeat(100), 1000, "A.b_c-9", None);
        check(" ", 1, "a-1", Some("item"));
        check(&"é".repeat(101), 1, "a-1", Some("item"));
        check("book", 0, "a-1", Some("quan"));
        check("book", 1001, "a-1", Some("quan"));
        check("book", 1, "", Some("acco"));
        check("book", 1, "a 1", Some("acco"));
        check("book", 1, &"a".repeat(129), Some("acco"));
    }
}
