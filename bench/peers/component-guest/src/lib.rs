//! The work of the contenders as a component that is called for each row.
#![expect(missing_docs, reason = "the bindings are generated without documentation")]
#![expect(unsafe_code, reason = "the ABI of a component's exports")]

use exeat_peers_work::{KEPT_STATE, mask, pseudonym};

wit_bindgen::generate!({ world: "per-row", path: "row.wit" });

struct Component;

impl Guest for Component {
    fn transform(row: Row) -> Option<Exported> {
        (row.state == KEPT_STATE).then(|| Exported {
            user_id: row.user_id,
            email: row.email.map(|email| pseudonym(&email)),
            email_verified: row.email_verified,
            username: row.username,
            name: row.name.map(|name| mask(&name)),
            given_name: row.given_name,
            family_name: row.family_name,
            state: row.state,
            created: row.created_at,
            logins_count: row.logins_count,
            last_login: row.last_login_at,
        })
    }
}

export!(Component);
