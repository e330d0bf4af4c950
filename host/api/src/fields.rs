//! What can leave, and what never does.

use axum::Json;
use exeat_gate::catalog;
use serde_json::{Value, json};

use crate::auth::{AnyToken, Granted};

/// `GET /v1/fields`.
pub(crate) async fn fields(_granted: Granted<AnyToken>) -> Json<Value> {
    let fields: Vec<Value> = catalog()
        .fields()
        .iter()
        .map(|field| {
            json!({
                "name": field.name, "type": field.column_type.name(), "class": field.class,
                "nullable": field.nullable, "summary": field.summary,
            })
        })
        .collect();
    let never: Vec<Value> = catalog()
        .never_names()
        .map(|(name, why)| json!({"name": name, "why": why}))
        .collect();
    Json(json!({"policy_version": catalog().version(), "fields": fields, "never_exported": never}))
}
