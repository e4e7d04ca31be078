//! What the name of a property says about its value.

use super::{
    Random,
    format::{self, Format},
    words::{
        CITIES, COUNTRIES, FIRST_NAMES, LAST_NAMES, capital, email, person, phrase, sentence, url,
        word,
    },
};

/// A text for a property of this name, if it says what it is.
pub(super) fn named(name: &str, random: &mut Random) -> Option<String> {
    let parts = parts(name);
    let last = parts.last()?;
    let before = parts.len().checked_sub(2).map_or("", |index| &parts[index]);
    let pick = |from: &[&str], random: &mut Random| random.pick(from).map(|&it| it.to_owned());
    match &last[..] {
        "name" if matches!(before, "first" | "given" | "nick") => pick(&FIRST_NAMES, random),
        "name" if matches!(before, "last" | "family") => pick(&LAST_NAMES, random),
        "name" if is_person(before) => Some(person(random)),
        "surname" => pick(&LAST_NAMES, random),
        "author" | "person" | "user" | "customer" | "owner" | "participant" | "attendee"
        | "sender" | "recipient" => Some(person(random)),
        "username" | "login" | "slug" => Some(word(random).to_owned()),
        "city" | "town" | "location" | "destination" | "origin" | "place" => pick(&CITIES, random),
        "country" | "nationality" => pick(&COUNTRIES, random),
        "address" | "street" if before != "email" => {
            let street = capital(word(random));
            Some(format!("{} {street} Street", random.between(1, 99)))
        }
        "email" | "mail" | "address" => Some(email(random)),
        "phone" | "telephone" | "mobile" => Some(format!("+1-555-01{:02}", random.below(100))),
        "zip" | "postcode" | "zipcode" => Some(format!("{:05}", random.between(10_000, 99_999))),
        "id" | "key" | "token" => Some(format!("{:012x}", random.next() >> 16)),
        "uuid" | "guid" => Some(Format::Uuid.write(random)),
        "url" | "uri" | "link" | "href" | "website" | "homepage" => Some(url(random)),
        "date" | "day" | "birthday" | "deadline" => Some(format::date(random)),
        "time" => Some(format::time(random)),
        "at" | "timestamp" | "datetime" => Some(Format::DateTime.write(random)),
        "title" | "subject" | "headline" | "heading" => Some(capital(&phrase(random))),
        "description" | "summary" | "explanation" | "reason" | "reasoning" | "rationale"
        | "content" | "text" | "body" | "message" | "comment" | "answer" | "abstract" | "note"
        | "thought" | "analysis" | "output" | "bio" => Some(sentence(random)),
        "language" | "lang" | "locale" => pick(&["de", "en", "fr", "ja"], random),
        "currency" => pick(&["EUR", "USD", "GBP", "JPY"], random),
        "color" | "colour" => pick(&["blue", "green", "orange", "red", "teal"], random),
        "company" | "organization" | "organisation" | "brand" => {
            Some(format!("{} Works", capital(word(random))))
        }
        "version" => Some(format!("{}.{}.0", random.between(1, 9), random.below(20))),
        _ => None,
    }
}

/// The range that a number of this name usually lies in, and its digits after the point.
pub(super) fn range(name: &str) -> Option<(i128, i128, u32)> {
    Some(match &parts(name).last()?[..] {
        "age" => (18, 80, 0),
        "year" => (1990, 2029, 0),
        "month" => (1, 12, 0),
        "day" => (1, 28, 0),
        "hour" => (0, 23, 0),
        "minute" | "second" => (0, 59, 0),
        "latitude" | "lat" => (-60, 70, 4),
        "longitude" | "lng" | "lon" => (-180, 180, 4),
        "confidence" | "probability" | "ratio" | "similarity" => (0, 1, 2),
        "rating" | "stars" => (1, 5, 0),
        "temperature" => (-10, 35, 1),
        "quantity" | "count" => (1, 20, 0),
        _ => return None,
    })
}

/// A name for a property that has none: the more were refused, the rarer.
pub(super) fn key(tried: usize, random: &mut Random) -> String {
    let key = word(random);
    match tried {
        0..8 => key.to_owned(),
        _ => format!("{key}_{}", random.below(100_000)),
    }
}

/// `userName`, `user_name` and `user-names` as lower-case words, the last one in the singular.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    // A name may be as long as the request; only its end counts, and few are that long.
    for c in name.chars().take(64) {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            parts.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let Some(last) = parts.last_mut().filter(|_| c.is_alphanumeric()) {
            last.extend(c.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    if let Some(last) = parts.last_mut() {
        *last = singular(last);
    }
    parts
}

fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") || word == "stars" {
        return word.to_owned();
    }
    word.strip_suffix('s')
        .unwrap_or(word)
        .replace("addresse", "address")
}

fn is_person(before: &str) -> bool {
    let people = [
        "", "full", "user", "author", "customer", "contact", "person", "owner",
    ];
    people.contains(&before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, expected) in [
            ("userName", "user name"),
            ("created_at", "created at"),
            ("email-addresses", "email address"),
            ("cities", "city"),
            ("", ""),
        ] {
            assert_eq!(parts(name).join(" "), expected);
        }
    }

    #[test]
    fn a_name_says_what_a_text_is() {
        let mut random = Random::new(&[1; 32], 0);
        let email = named("emailAddress", &mut random).expect("a text");
        assert!(email.ends_with("@example.com"), "{email}");
        assert!(CITIES.contains(&&named("cities", &mut random).expect("a text")[..]));
        assert_eq!(named("frobnication", &mut random), None);
    }
}
