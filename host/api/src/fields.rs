//! What can leave, what never does, and which plugins there are.

use axum::Json;
use axum::extract::State;
use exeat_gate::catalog;
use serde_json::{Value, json};

use crate::App;
use crate::auth::{AnyToken, Granted};
use crate::problem::Problem;

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

/// `GET /v1/plugins`.
pub(crate) async fn plugins(
    State(app): State<App>,
    _granted: Granted<AnyToken>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({"plugins": app.engine.plugins().await?})))
}
