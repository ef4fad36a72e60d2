//! Launches as JSON values, and the many ways to write one down.

use proptest::prelude::*;
use serde_json::{Map, Value};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(any_text(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,2}", proptest::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter)]
}

/// A posted launch with an amount in minor units of BRL.
pub(super) fn any_launch() -> impl Strategy<Value = Map<String, Value>> {
    let mandatory = (1..10_000_i64, prop_oneof![Just("credit"), Just("debit")]);
    let texts = (proptest::option::of(any_text()), proptest::option::of(any_text()));
    let occurred_at = proptest::option::of("2026-11-2[0-9]T10:00:00(Z|-03:00)");
    let others = proptest::collection::btree_map("[w-z]{1,2}|\\PC{3}", any_value(), 0..4);
    (mandatory, texts, occurred_at, others).prop_map(
        |((amount, kind), (description, category), occurred_at, others)| {
            let mut launch: Map<String, Value> = others.into_iter().collect();
            launch.insert("account".to_owned(), Value::from("store-17"));
            launch.insert("currency".to_owned(), Value::from("BRL"));
            launch.insert("amount".to_owned(), Value::from(amount));
            launch.insert("kind".to_owned(), Value::from(kind));
            let optional = [("description", description), ("category", category), ("occurred_at", occurred_at)];
            for (key, text) in optional {
                launch.extend(text.map(|text| (key.to_owned(), Value::from(text))));
            }
            launch
        },
    )
}

/// Writes the launch with an order of keys, white space, escapes and form of the amount that follow from `style`.
pub(super) fn render(launch: &Map<String, Value>, style: u64) -> String {
    let mut pen = Pen { text: String::new(), state: style };
    let mut members: Vec<(&String, Value)> = launch.iter().map(|(key, value)| (key, value.clone())).collect();
    pen.shuffle(&mut members);
    pen.members(members.iter().map(|(key, value)| (key.as_str(), value)), |pen, key, value| {
        if key == "amount" { pen.amount(value) } else { pen.value(value) }
    });
    pen.text
}

struct Pen {
    text: String,
    state: u64,
}

impl Pen {
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in 1..items.len() {
            let other = usize::try_from(self.below(index as u64 + 1)).unwrap();
            items.swap(index, other);
        }
    }

    fn space(&mut self) {
        let space = ["", "", "", " ", "\n", "\r\n", "\t"][usize::try_from(self.below(7)).unwrap()];
        self.text.push_str(space);
    }

    fn mark(&mut self, mark: char) {
        self.space();
        self.text.push(mark);
        self.space();
    }

    fn amount(&mut self, minor_units: &Value) {
        let units = minor_units.as_i64().unwrap();
        let plain = format!("{}.{:02}", units / 100, units % 100);
        let text = match self.below(3) {
            0 => plain,
            1 => format!("\"{plain}\""),
            _ => format!("{units}E-2"),
        };
        self.text.push_str(&text);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(values) => self.array(values),
            Value::Object(members) => {
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                self.shuffle(&mut members);
                self.members(members.into_iter().map(|(key, value)| (key.as_str(), value)), |pen, _, value| {
                    pen.value(value);
                });
            }
            scalar => self.text.push_str(&scalar.to_string()),
        }
    }

    fn array(&mut self, values: &[Value]) {
        self.mark('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.mark(',');
            }
            self.value(value);
        }
        self.mark(']');
    }

    fn members<'v>(
        &mut self,
        members: impl Iterator<Item = (&'v str, &'v Value)>,
        write_value: impl Fn(&mut Self, &str, &Value),
    ) {
        self.mark('{');
        for (index, (key, value)) in members.enumerate() {
            if index > 0 {
                self.mark(',');
            }
            self.string(key);
            self.mark(':');
            write_value(self, key, value);
        }
        self.mark('}');
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            let must_be_escaped = character < ' ' || matches!(character, '"' | '\\');
            if must_be_escaped || self.below(4) == 0 {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    self.text.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                self.text.push(character);
            }
        }
        self.text.push('"');
    }
}
