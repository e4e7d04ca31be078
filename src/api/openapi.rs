//! The OpenAPI document, made from the code: 3.2 with the stream's events, and a 3.1
//! rendition for tools that know no `itemSchema`.

use actix_web::{App, HttpResponse, get};
use serde_json::{Value, json};
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};
use utoipa_actix_web::AppExt;

use super::resources;
use crate::openai::{ChatChunk, ErrorEnvelope, TextCompletion};

/// What stands in every document beside the routes.
#[derive(OpenApi)]
#[openapi(
    version = "3.2.0",
    info(
        title = "Tokenfall",
        description = "An OpenAI-compatible server for token streams.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(
        ActivityEvent,
        ActivityNote,
        AnyEvent,
        ChatChunk,
        ChatEvent,
        ErrorEnvelope,
        TextCompletion,
        TextEvent
    )),
    modifiers(&Security),
    tags(
        (name = "Chat", description = "Completions, whole and streamed."),
        (name = "Stored completions", description = "Those that were asked for with `store: true`."),
        (name = "Activity", description = "What happens, without content; needs an admin key where keys are configured."),
        (name = "Legacy completions", description = "Texts continued, whole and streamed."),
        (name = "Embeddings", description = "Texts as vectors."),
        (name = "Moderations", description = "What is objectionable in texts and images."),
        (name = "Mock", description = "For tests, where nothing is served but the mock; needs an admin key where keys are configured."),
        (name = "Models", description = "What can be asked for."),
        (name = "Health", description = "For probes; open to everyone."),
        (name = "Document", description = "This document; open to everyone."),
    )
)]
struct Base;

/// One event of a chat stream, as Server-Sent Events parsers give it.
pub struct ChatEvent;

impl ToSchema for ChatEvent {}

impl PartialSchema for ChatEvent {
    fn schema() -> RefOr<Schema> {
        completion_event(&["ChatChunk"], "One event of a chat stream.")
    }
}

/// One event of a legacy completion's stream.
pub struct TextEvent;

impl ToSchema for TextEvent {}

impl PartialSchema for TextEvent {
    fn schema() -> RefOr<Schema> {
        completion_event(&["TextCompletion"], "One event of a legacy stream.")
    }
}

/// One event of a stream of either API.
pub struct AnyEvent;

impl ToSchema for AnyEvent {}

impl PartialSchema for AnyEvent {
    fn schema() -> RefOr<Schema> {
        completion_event(&["ChatChunk", "TextCompletion"], "One event of a stream.")
    }
}

/// An event whose data is one of these chunks, an error, or the sentinel.
fn completion_event(chunks: &[&str], description: &str) -> RefOr<Schema> {
    let chunks = chunks.iter().map(|name| Ref::from_schema_name(*name));
    let content = chunks.fold(OneOfBuilder::new(), OneOfBuilder::item);
    let content = content.item(Ref::from_schema_name("ErrorEnvelope"));
    let sentinel = string()
        .enum_values(Some(["[DONE]"]))
        .description(Some("The end of the stream."));
    let chunk = json_text(
        content.into(),
        "A chunk, or the error that the stream ends with.",
    );
    let data = OneOfBuilder::new().item(sentinel).item(chunk);
    event(description, data.into())
}

/// One event of the activity stream.
pub struct ActivityEvent;

impl ToSchema for ActivityEvent {}

impl PartialSchema for ActivityEvent {
    fn schema() -> RefOr<Schema> {
        let note = Ref::from_schema_name("ActivityNote");
        let data = json_text(note.into(), "What happened.");
        event("One event of the activity stream.", data.into())
    }
}

/// What happened to a completion.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `completion::Activity` writes")]
struct ActivityNote {
    /// `started`, `first_token` or `ended`.
    #[schema(rename = "type")]
    kind: String,
    /// The completion's id.
    id: String,
    /// The model that was asked for, when it started.
    model: Option<String>,
    /// How it ended: `completed`, `cancelled`, or the code of its error.
    end: Option<String>,
    /// How long after its start, in milliseconds.
    after_ms: Option<u64>,
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

/// A text that is JSON of this schema.
fn json_text(content: RefOr<Schema>, description: &str) -> Object {
    let mut text = string()
        .content_media_type("application/json")
        .pattern(Some(r"^\{"))
        .description(Some(description))
        .build();
    text.content_schema = Some(Box::new(content));
    text
}

fn event(description: &str, data: RefOr<Schema>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .description(Some(description))
        .property("data", data)
        .required("data")
        .into()
}

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{
            Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        };
        let components = openapi.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("key", scheme);
        // Either: a server without keys asks for none.
        openapi.security = Some(vec![
            SecurityRequirement::default(),
            SecurityRequirement::new("key", Vec::<String>::new()),
        ]);
    }
}

/// Which edition of OpenAPI a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// 3.2, where `itemSchema` describes each event of a stream.
    V3_2,
    /// 3.1, which has no word for events: `schema` describes each of them, as the makers of
    /// tools for 3.1 agreed.
    V3_1,
}

/// The document as JSON.
pub fn document(edition: Edition) -> Value {
    let app = App::new().into_utoipa_app().openapi(Base::openapi());
    let (_, openapi) = app.configure(|routes| resources(routes)).split_for_parts();
    // A document that cannot be written would not have passed the tests.
    let mut document = serde_json::to_value(openapi).unwrap_or_default();
    refine(&mut document);
    if edition == Edition::V3_1 {
        document["openapi"] = json!("3.1.0");
        without_item_schemas(&mut document);
    }
    document
}

/// The document as it is served and committed: indented, with a line end.
pub fn text(edition: Edition) -> String {
    format!("{:#}\n", document(edition))
}

/// Says what the builders cannot: a single allowed value is a constant, and a parameter that
/// may be left out cannot be null all the same.
fn refine(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // HEAD is GET without the body; a second operation of one id would not be valid.
            if object.contains_key("get") {
                object.remove("head");
            }
            if object.contains_key("in")
                && let Some(kind) = object.get_mut("schema").map(|schema| &mut schema["type"])
                && let Some([only, null]) = kind.as_array().map(Vec::as_slice)
                && null == "null"
            {
                *kind = only.clone();
            }
            let constant = match object
                .get("enum")
                .and_then(Value::as_array)
                .map(Vec::as_slice)
            {
                Some([only]) if only.is_string() => Some(only.clone()),
                Some(_) | None => None,
            };
            if let Some(constant) = constant {
                object.remove("enum");
                object.insert("const".to_owned(), constant);
            }
            object.values_mut().for_each(refine);
        }
        Value::Array(items) => items.iter_mut().for_each(refine),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without_item_schemas(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(item) = object.remove("itemSchema") {
                object.insert("schema".to_owned(), item);
            }
            object.values_mut().for_each(without_item_schemas);
        }
        Value::Array(items) => items.iter_mut().for_each(without_item_schemas),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// This document, in OpenAPI 3.2
#[utoipa::path(
    tag = "Document",
    operation_id = "openapi",
    responses((status = 200, description = "The document.", body = Object, content_type = "application/json"))
)]
#[get("/openapi.json")]
pub(super) async fn document_3_2() -> HttpResponse {
    serve(Edition::V3_2)
}

/// This document, in OpenAPI 3.1
#[utoipa::path(
    tag = "Document",
    operation_id = "openapi31",
    responses((status = 200, description = "The document.", body = Object, content_type = "application/json"))
)]
#[get("/openapi-3.1.json")]
pub(super) async fn document_3_1() -> HttpResponse {
    serve(Edition::V3_1)
}

fn serve(edition: Edition) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(text(edition))
}
