//! Schemas as libraries and people write them, and values that never change.

use serde_json::Value;

use super::{
    tests::{draws, random},
    value,
};

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// OpenAI's guide, "Recursive schemas are supported": a UI that refers to its root.
fn interface() -> Value {
    read(
        r##"{"type":"object","properties":{
            "type":{"type":"string","description":"The type of the UI component","enum":["div","button","header","section","field","form"]},
            "label":{"type":"string","description":"The label of the UI component"},
            "children":{"type":"array","items":{"$ref":"#"}},
            "attributes":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"value":{"type":"string"}},"additionalProperties":false,"required":["name","value"]}}},
            "required":["type","label","children","attributes"],"additionalProperties":false}"##,
    )
}

/// The same guide: a list that refers to its node.
fn linked_list() -> Value {
    read(
        r##"{"type":"object","properties":{"linked_list":{"$ref":"#/$defs/linked_list_node"}},
            "$defs":{"linked_list_node":{"type":"object","properties":{"value":{"type":"number"},"next":{"anyOf":[{"$ref":"#/$defs/linked_list_node"},{"type":"null"}]}},"additionalProperties":false,"required":["next","value"]}},
            "additionalProperties":false,"required":["linked_list"]}"##,
    )
}

/// The same guide: definitions, and steps towards an answer.
fn steps() -> Value {
    read(
        r##"{"type":"object","properties":{"steps":{"type":"array","items":{"$ref":"#/$defs/step"}},"final_answer":{"type":"string"}},
            "$defs":{"step":{"type":"object","properties":{"explanation":{"type":"string"},"output":{"type":"string"}},"required":["explanation","output"],"additionalProperties":false}},
            "required":["steps","final_answer"],"additionalProperties":false}"##,
    )
}

/// The same guide: what strings and numbers may be held to.
fn restricted_user() -> Value {
    read(
        r##"{"type":"object","properties":{
            "name":{"type":"string","description":"The name of the user"},
            "username":{"type":"string","pattern":"^@[a-zA-Z0-9_]+$"},
            "email":{"type":"string","pattern":"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}$"},
            "age":{"type":"integer","minimum":0,"maximum":150,"multipleOf":1},
            "temperature":{"type":"number","minimum":-130,"maximum":130},
            "tags":{"type":"array","items":{"type":"string"},"minItems":2,"maxItems":4}},
            "additionalProperties":false,"required":["name","username","email","age","temperature","tags"]}"##,
    )
}

/// The same guide: one of two objects.
fn user_or_address() -> Value {
    read(
        r##"{"type":"object","properties":{"item":{"anyOf":[
            {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"number"}},"additionalProperties":false,"required":["name","age"]},
            {"type":"object","properties":{"number":{"type":"string"},"street":{"type":"string"},"city":{"type":"string"}},"additionalProperties":false,"required":["number","street","city"]}]}},
            "additionalProperties":false,"required":["item"]}"##,
    )
}

/// Pydantic: optional fields with defaults, an enum, a decimal, nested models.
fn pydantic_order() -> Value {
    read(
        r##"{"$defs":{"Address":{"properties":{"street":{"title":"Street","type":"string"},"zip_code":{"anyOf":[{"pattern":"^\\d{5}$","type":"string"},{"type":"null"}],"default":null,"title":"Zip Code"}},"required":["street"],"title":"Address","type":"object"},
            "Status":{"enum":["open","paid","shipped"],"title":"Status","type":"string"}},
            "properties":{"id":{"format":"uuid","title":"Id","type":"string"},"created_at":{"format":"date-time","title":"Created At","type":"string"},
            "status":{"$ref":"#/$defs/Status","default":"open"},"ship_to":{"anyOf":[{"$ref":"#/$defs/Address"},{"type":"null"}]},
            "total":{"anyOf":[{"minimum":0.0,"type":"number"},{"pattern":"^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$","type":"string"}],"title":"Total"},
            "point":{"maxItems":2,"minItems":2,"prefixItems":[{"type":"number"},{"type":"number"}],"title":"Point","type":"array"},
            "scores":{"additionalProperties":{"type":"integer"},"title":"Scores","type":"object"},
            "labels":{"items":{"type":"string"},"title":"Labels","type":"array","uniqueItems":true},
            "wait":{"format":"duration","title":"Wait","type":"string"},"site":{"format":"uri","maxLength":2083,"minLength":1,"title":"Site","type":"string"},
            "rate":{"exclusiveMinimum":0,"maximum":1,"title":"Rate","type":"number"}},
            "required":["id","created_at","ship_to","total","point","scores","labels","wait","site","rate"],"title":"Order","type":"object"}"##,
    )
}

/// Pydantic: a union told apart by a field, in itself recursive.
fn pydantic_expression() -> Value {
    read(
        r##"{"$defs":{"Add":{"properties":{"op":{"const":"add","default":"add","title":"Op","type":"string"},"left":{"$ref":"#/$defs/Expr"},"right":{"$ref":"#/$defs/Expr"}},"required":["op","left","right"],"title":"Add","type":"object"},
            "Not":{"properties":{"op":{"const":"not","title":"Op","type":"string"},"operand":{"$ref":"#/$defs/Expr"}},"required":["op","operand"],"title":"Not","type":"object"},
            "Literal":{"properties":{"op":{"const":"lit","title":"Op","type":"string"},"value":{"title":"Value","type":"number"}},"required":["op","value"],"title":"Literal","type":"object"},
            "Expr":{"discriminator":{"mapping":{"add":"#/$defs/Add","lit":"#/$defs/Literal","not":"#/$defs/Not"},"propertyName":"op"},"oneOf":[{"$ref":"#/$defs/Add"},{"$ref":"#/$defs/Not"},{"$ref":"#/$defs/Literal"}]}},
            "$ref":"#/$defs/Expr"}"##,
    )
}

/// The Python SDK's strict form of a pydantic tree: a reference with a description beside it.
fn strict_tree() -> Value {
    read(
        r##"{"$defs":{"Node":{"properties":{"name":{"title":"Name","type":"string"},"children":{"items":{"$ref":"#/$defs/Node"},"title":"Children","type":"array"},"parent":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}]}},"required":["name","children","parent"],"title":"Node","type":"object","additionalProperties":false}},
            "properties":{"root":{"$ref":"#/$defs/Node","description":"The root"}},"required":["root"],"title":"Tree","type":"object","additionalProperties":false}"##,
    )
}

/// Zod 4's `toJSONSchema`: formats with a pattern of their own, safe integers.
fn zod_four() -> Value {
    read(
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{
            "email":{"type":"string","format":"email","pattern":"^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"},
            "id":{"type":"string","format":"uuid","pattern":"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"},
            "when":{"type":"string","format":"date-time","pattern":"^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?(?:Z))$"},
            "ip":{"type":"string","format":"ipv4","pattern":"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])$"},
            "count":{"type":"integer","minimum":-9007199254740991,"maximum":9007199254740991},
            "price":{"type":"number","exclusiveMinimum":0},
            "role":{"default":"user","type":"string","enum":["admin","user"]},
            "meta":{"type":"object","propertyNames":{"type":"string"},"additionalProperties":{}},
            "pair":{"type":"array","prefixItems":[{"type":"string"},{"type":"boolean"}]},
            "maybe":{"anyOf":[{"type":"string"},{"type":"null"}]}},
            "required":["email","id","when","ip","count","price","role","meta","pair","maybe"],"additionalProperties":false}"##,
    )
}

/// zod-to-json-schema, as the Node SDK calls it: the schema is a definition of its own.
fn zod_three() -> Value {
    read(
        r##"{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/result","definitions":{"result":{"type":"object","properties":{
            "sentiment":{"type":"string","enum":["positive","neutral","negative"]},"score":{"type":"number","minimum":0,"maximum":1},
            "again":{"$ref":"#/definitions/result/properties/score"},"website":{"type":["string","null"],"format":"uri"},
            "comments":{"type":"array","items":{"$ref":"#/definitions/result_comments"}}},"required":["sentiment","score","again","website","comments"],"additionalProperties":false},
            "result_comments":{"type":"object","properties":{"body":{"type":"string"},"replies":{"type":"array","items":{"$ref":"#/definitions/result_comments"},"maxItems":5}},"required":["body","replies"],"additionalProperties":false}}}"##,
    )
}

/// A tool as people write them by hand.
fn weather_tool() -> Value {
    read(
        r##"{"type":"object","properties":{"location":{"type":"string","description":"The city and state, e.g. San Francisco, CA"},"unit":{"type":"string","enum":["celsius","fahrenheit"]},"days":{"type":"integer","minimum":1,"maximum":14,"default":3}},"required":["location"]}"##,
    )
}

/// An OpenAPI description turned into a tool: `allOf` to inherit, formats that are remarks.
fn openapi_pet() -> Value {
    read(
        r##"{"allOf":[{"$ref":"#/components/schemas/NewPet"},{"type":"object","required":["id"],"properties":{"id":{"type":"integer","format":"int64"},"photo":{"type":"string","format":"binary","nullable":true}}}],
            "components":{"schemas":{"NewPet":{"type":"object","required":["name"],"properties":{"name":{"type":"string","example":"Rex"},"tag":{"type":"string","minLength":1,"maxLength":12},"weight":{"type":"number","format":"float","multipleOf":0.1,"minimum":0.5,"maximum":90}}}}}}"##,
    )
}

fn all() -> Vec<Value> {
    vec![
        interface(),
        linked_list(),
        steps(),
        restricted_user(),
        user_or_address(),
        pydantic_order(),
        pydantic_expression(),
        strict_tree(),
        zod_four(),
        zod_three(),
        weather_tool(),
        openapi_pet(),
    ]
}

#[test]
fn schemas_of_the_world_are_met() {
    for schema in all() {
        let values = draws(&schema);
        let longest = values.iter().map(|value| value.to_string().len()).max();
        assert!(longest < Some(30_000), "{longest:?}\n{schema}");
    }
}

#[test]
fn recursions_go_more_than_one_level_deep() {
    let values = draws(&linked_list());
    let is_long = |value: &Value| value["linked_list"]["next"]["next"].is_object();
    assert!(values.iter().any(is_long));
    let values = draws(&interface());
    assert!(
        values
            .iter()
            .any(|value| value["children"][0]["children"][0].is_object())
    );
}

#[test]
fn a_seed_always_draws_the_same() {
    for (schema, expected) in [
        (
            linked_list(),
            r#"{"linked_list":{"value":900.54,"next":{"value":61.03,"next":{"value":25.8,"next":null}}}}"#,
        ),
        (
            restricted_user(),
            r#"{"name":"Ada Abbott","username":"@7wb_80iE6i","email":"margaret.walnut@example.com","age":31,"temperature":14.4,"tags":["spring","lemon valley"]}"#,
        ),
        (
            pydantic_order(),
            r#"{"id":"7b2b7eb2-4ee8-4f43-8067-94a9a298e916","created_at":"2025-07-07T16:47:35Z","status":"open","ship_to":{"street":"98 Lemon Street","zip_code":"03727"},"total":700.27,"point":[968.72,168.11],"scores":{"river":29,"lemon":13},"labels":["thistle ember"],"wait":"P13D","site":"https://example.com/orchard/pine","rate":0.35}"#,
        ),
        (
            zod_four(),
            r#"{"email":"ada.garden@example.com","id":"6988be37-f924-41a2-9910-db6fc5596716","when":"2026-12-16T07:35:26Z","ip":"192.0.2.3","count":16,"price":427.19,"role":"admin","meta":{"juniper":"quiet lemon"},"pair":["silver",false],"maybe":"spring"}"#,
        ),
        (weather_tool(), r#"{"location":"Cairo","unit":"celsius"}"#),
    ] {
        let drawn = value(&schema, &mut random(7)).expect("a value");
        assert_eq!(drawn.to_string(), expected);
    }
}
