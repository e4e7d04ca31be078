//! Schemas made up by chance: those that can be met are, and no JSON whatever does harm.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    tests::{assert_valid, random},
    value,
};

/// How many definitions a schema may refer to.
const DEFINITIONS: usize = 4;

/// A schema of a value without parts, which can be met.
fn leaf() -> impl Strategy<Value = Value> {
    let text = (0..30_usize, 0..30_usize).prop_map(
        |(least, more)| json!({ "type": "string", "minLength": least, "maxLength": least + more }),
    );
    let format = prop::sample::select(vec![
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
        "uri",
    ])
    .prop_map(|format| json!({ "type": "string", "format": format }));
    let pattern = prop_oneof![
        "\\^[a-f]\\{[0-3],[4-9]\\}(x|yz)?\\$",
        "\\^\\([a-c]\\|[d-f]\\)\\+[0-9]\\*\\$",
        "[a-z]\\[\\^[a-z]\\]\\{2\\}\\\\d",
    ]
    .prop_map(|pattern| json!({ "type": "string", "pattern": pattern }));
    let integer = (any::<i32>(), 0..1000_i64)
        .prop_map(|(low, more)| json!({ "type": "integer", "minimum": low, "maximum": i64::from(low) + more }));
    let number = (-1e6..1e6_f64, 1e-6..1e3_f64).prop_map(
        |(low, more)| json!({ "type": "number", "exclusiveMinimum": low, "maximum": low + more }),
    );
    let multiple = (1..5000_u32, 0..4_u32, any::<i16>()).prop_map(|(digits, scale, low)| {
        let step = f64::from(digits) / f64::from(10_u32.pow(scale));
        json!({ "type": "number", "multipleOf": step, "minimum": low })
    });
    let listed = prop::collection::vec(any::<Option<i16>>(), 1..4)
        .prop_map(|values| json!({ "enum": values }));
    prop_oneof![
        text,
        format,
        pattern,
        integer,
        number,
        multiple,
        listed,
        Just(json!({ "type": ["boolean", "null"] })),
        Just(json!({ "const": { "a": [1] } })),
        Just(json!(true)),
        (0..DEFINITIONS).prop_map(|n| json!({ "$ref": format!("#/$defs/d{n}") })),
    ]
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let properties = prop::collection::vec(("[a-z]{1,6}", inner, any::<bool>()), 0..4);
    (properties, 0..4_usize).prop_map(|(properties, open)| {
        let required = properties.iter().filter(|(_, _, is_required)| *is_required);
        let mut required: Vec<_> = required.map(|(name, ..)| name.clone()).collect();
        required.sort_unstable();
        required.dedup();
        let members: Map<_, _> = properties
            .into_iter()
            .map(|(name, schema, _)| (name, schema))
            .collect();
        let mut object = json!({ "type": "object", "properties": members, "required": required });
        match open {
            0 => object["additionalProperties"] = json!(false),
            1 => object["additionalProperties"] = json!({ "type": "integer" }),
            2 => object["minProperties"] = json!(2),
            _ => {}
        }
        object
    })
}

/// A schema that can be met, if every definition can.
fn schema() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let list = (inner.clone(), 0..3_usize, 0..3_usize).prop_map(|(items, least, more)| {
            json!({ "type": "array", "items": items, "minItems": least, "maxItems": least + more })
        });
        let several = prop::collection::vec(inner.clone(), 1..4);
        let tuple = several.clone().prop_map(|items| json!({ "type": "array", "prefixItems": items }));
        let any_of = several.clone().prop_map(|branches| json!({ "anyOf": branches }));
        let one_of = several.clone().prop_map(|branches| {
            let tagged = branches.into_iter().enumerate().map(|(tag, value)| {
                let properties = json!({ "tag": { "const": tag }, "value": value });
                json!({ "type": "object", "properties": properties, "required": ["tag"] })
            });
            json!({ "oneOf": tagged.collect::<Vec<_>>() })
        });
        let all_of = several.prop_map(|parts| {
            let parts = parts.into_iter().enumerate().map(|(n, value)| {
                let name = format!("part{n}");
                json!({ "type": "object", "properties": { &name: value }, "required": [name] })
            });
            json!({ "allOf": parts.collect::<Vec<_>>() })
        });
        let unique = (1..8_usize).prop_map(|least| {
            json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true, "minItems": least })
        });
        let map = inner.clone().prop_map(|value| json!({ "type": "object", "additionalProperties": value }));
        prop_oneof![object(inner), list, tuple, any_of, one_of, all_of, unique, map]
    })
}

/// A schema and its definitions, which lead into each other and can end.
fn document() -> impl Strategy<Value = Value> {
    let definitions = prop::collection::vec(schema(), DEFINITIONS);
    (object(schema()), definitions).prop_map(|(mut root, definitions)| {
        let ends = |definition| json!({ "anyOf": [definition, { "type": "null" }] });
        let named = definitions.into_iter().enumerate();
        let named: Map<_, _> = named
            .map(|(n, definition)| (format!("d{n}"), ends(definition)))
            .collect();
        root["$defs"] = Value::Object(named);
        root
    })
}

/// JSON with a schema's keywords in it, whether they make sense or not.
fn nonsense() -> impl Strategy<Value = Value> {
    let keyword = prop::sample::select(
        "type enum const anyOf oneOf allOf not if then else properties required items prefixItems \
         additionalProperties patternProperties propertyNames minItems maxItems uniqueItems contains \
         minContains minLength maxLength pattern format minimum maximum exclusiveMinimum multipleOf \
         minProperties maxProperties dependentRequired dependentSchemas $ref $defs nullable"
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    let text = prop::sample::select(
        "string integer number boolean null object array # #/anyOf/0 #/properties/a #/$defs/a ^(a+)+$ \
         [^ (?=x)y (?<!a){3} \\p{L}{9} .{99999} (.{999}){999} ^\\d{3}[[]$ date email {1} \\ (?i:é) a b"
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3..12_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let key = prop_oneof![
            12 => keyword.clone().prop_map(str::to_owned),
            1 => "[ab]",
            1 => any::<String>(),
        ];
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => prop::collection::vec((key, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_can_be_met_is_met(schema in document(), seed in 0..1000_u32) {
        let drawn = value(&schema, &mut random(seed));
        let drawn = drawn.map_err(|error| TestCaseError::fail(error.to_string()))?;
        assert_valid(&schema, &drawn);
        let again = value(&schema, &mut random(seed));
        prop_assert_eq!(again.map(|again| again.to_string()), Ok(drawn.to_string()));
    }

    #[test]
    fn nothing_does_harm(schema in nonsense()) {
        // Neither a panic nor a loop; whether there is a value does not matter.
        let _ = value(&schema, &mut random(0));
    }
}
