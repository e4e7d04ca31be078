//! The list of models.

use serde::Serialize;
use utoipa::ToSchema;

/// A model that can be asked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Model {
    /// Its public name.
    #[schema(example = "tokenfall-mock")]
    pub id: String,
    /// Always `model`.
    #[schema(pattern = "^model$")]
    pub object: &'static str,
    /// When it was made, in seconds since 1970; 0 where that is not known.
    pub created: u64,
    /// Who runs it.
    pub owned_by: String,
}

impl Model {
    /// A model of this name.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            object: "model",
            created: 0,
            owned_by: "tokenfall".to_owned(),
        }
    }
}

/// All models.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    #[schema(pattern = "^list$")]
    pub object: &'static str,
    /// The models.
    pub data: Vec<Model>,
}

impl ModelList {
    /// A list of these.
    pub fn new(data: Vec<Model>) -> Self {
        Self {
            object: "list",
            data,
        }
    }
}

/// What is left of a deleted model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelDeleted {
    /// Its name.
    pub id: String,
    /// Always `model`.
    #[schema(pattern = "^model$")]
    pub object: &'static str,
    /// It is gone.
    pub deleted: bool,
}
