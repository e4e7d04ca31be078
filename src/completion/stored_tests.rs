//! Completions on a shelf: lists, labels, messages.

use super::*;
use crate::stream::MemoryShelf;

const OWNER: Owner = Owner([1; 16]);

fn id(n: u8) -> Id {
    Id::new("id-", [n; 16])
}

fn kept(n: u8, model: &str) -> Kept {
    let id = id(n);
    let head = json!({"model": model, "metadata": {"n": n.to_string()}});
    let body = json!({
        "completion": {"id": id.as_str()},
        "messages": [{"role": "user", "content": n}, {"role": "user", "content": "b"}],
    });
    Kept {
        id,
        owner: OWNER,
        head: head.to_string().into(),
        body: body.to_string().into(),
    }
}

async fn stored(models: &[&str]) -> Stored {
    let limits = ShelfLimits {
        max: 1000,
        max_bytes: 1_000_000,
        keep: Duration::from_secs(60),
    };
    let stored = Stored::new(Arc::new(MemoryShelf::new(limits)));
    for (n, model) in (1..).zip(models) {
        stored.put(&kept(n, model)).await.expect("room");
    }
    stored
}

fn page() -> Page {
    Page {
        limit: 20,
        ..Page::default()
    }
}

fn of_model(model: &str) -> Picked {
    Picked {
        model: Some(model.to_owned()),
        ..Picked::default()
    }
}

fn ids(list: &Value) -> Vec<u8> {
    let digits = |item: &Value| u8::from_str_radix(&item["id"].as_str()?[3..5], 16).ok();
    let items = list["data"].as_array().expect("a list");
    items
        .iter()
        .map(|item| digits(item).expect("an id"))
        .collect()
}

#[tokio::test]
async fn a_list_is_filtered_ordered_and_paged() {
    let stored = stored(&["a", "b", "a"]).await;
    let list = async |picked: Picked, page: &Page| {
        let list = stored.list(OWNER, &picked, page).await;
        list.expect("an answer").expect("a page")
    };
    let all = Picked::default;
    let labelled = Picked {
        metadata: BTreeMap::from([("n".into(), "2".into())]),
        ..all()
    };
    assert_eq!(ids(&list(all(), &page()).await), [1, 2, 3]);
    assert_eq!(ids(&list(of_model("a"), &page()).await), [1, 3]);
    assert_eq!(ids(&list(labelled, &page()).await), [2]);
    let descending = Page {
        is_descending: true,
        limit: 2,
        ..page()
    };
    let first = list(all(), &descending).await;
    assert_eq!(
        (ids(&first), &first["has_more"]),
        (vec![3, 2], &json!(true))
    );
    let after = first["last_id"].as_str().map(str::to_owned);
    let second = Page {
        after,
        ..descending
    };
    let second = list(all(), &second).await;
    assert_eq!(
        (ids(&second), &second["has_more"]),
        (vec![1], &json!(false))
    );
}

#[tokio::test]
async fn a_page_begins_only_behind_one_that_is_picked() {
    let stored = stored(&["a", "b", "a"]).await;
    for (picked, after, expected) in [
        (Picked::default(), "x", None),
        (Picked::default(), "not an id", None),
        (of_model("a"), id(2).as_str(), None),
        (of_model("a"), id(1).as_str(), Some(vec![3])),
    ] {
        let page = Page {
            after: Some(after.to_owned()),
            ..page()
        };
        let list = stored.list(OWNER, &picked, &page).await.expect("an answer");
        assert_eq!(list.as_ref().map(ids), expected, "{after}");
    }
    let (all, page) = (Picked::default(), page());
    let others = stored.list(Owner([2; 16]), &all, &page).await;
    let others = others.expect("an answer").expect("a page");
    assert_eq!(ids(&others), [] as [u8; 0]);
}

#[tokio::test]
async fn what_is_picked_is_found_behind_any_number_of_others() {
    let mut models = vec!["b"; 250];
    models[0] = "a";
    models[249] = "a";
    let stored = stored(&models).await;
    let list = async |limit| {
        let page = Page { limit, ..page() };
        let list = stored.list(OWNER, &of_model("a"), &page).await;
        list.expect("an answer").expect("a page")
    };
    let (one, both) = (list(1).await, list(2).await);
    assert_eq!((ids(&one), &one["has_more"]), (vec![1], &json!(true)));
    assert_eq!(
        (ids(&both), &both["has_more"]),
        (vec![1, 250], &json!(false))
    );
}

#[tokio::test]
async fn another_of_the_same_id_takes_its_place_and_the_same_again_changes_nothing() {
    let stored = stored(&["a", "b"]).await;
    let get = async || {
        let got = stored.get(OWNER, id(1).as_str()).await;
        let json = got.expect("an answer").expect("it");
        serde_json::from_slice::<Value>(&json).expect("JSON")["metadata"].clone()
    };
    let labels = BTreeMap::from([("color".to_owned(), "blue".to_owned())]);
    let labelled = stored.label(OWNER, id(1).as_str(), labels).await;
    assert!(labelled.expect("an answer").is_some());
    assert_eq!(stored.put_new(&kept(1, "a")).await, Ok(false));
    assert_eq!(get().await, json!({"color": "blue"}));
    assert_eq!(stored.put(&kept(1, "a")).await, Ok(()));
    assert_eq!(get().await, json!({"n": "1"}));
    let list = stored.list(OWNER, &Picked::default(), &page()).await;
    let list = list.expect("an answer").expect("a page");
    assert_eq!(ids(&list), [2, 1], "the newest is the last");
}

#[tokio::test]
async fn messages_are_named_and_paged() {
    let stored = stored(&["a"]).await;
    let id = id(1);
    let page = Page {
        after: Some(format!("{id}-0")),
        ..page()
    };
    let messages = stored.messages(OWNER, id.as_str(), &page).await;
    let messages = messages.expect("an answer").expect("a page");
    let expected = json!([{"role": "user", "content": "b", "id": format!("{id}-1")}]);
    assert_eq!(messages["data"], expected);
    let unknown = stored.messages(OWNER, "id-0", &page).await;
    assert_eq!(unknown.expect("an answer"), None);
}

#[tokio::test]
async fn a_placeholder_is_always_there_and_in_no_list() {
    let always = ["always".to_owned()];
    let stored = stored(&["a"]).await.with_placeholders(&always);
    let label = || BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    for _ in 0..2 {
        assert!(matches!(stored.get(OWNER, "always").await, Ok(Some(_))));
        let labelled = stored.label(OWNER, "always", label()).await;
        let labelled = labelled.expect("an answer").expect("a placeholder");
        assert!(labelled.ends_with(br#""metadata":{"k":"v"}}"#));
        assert!(matches!(stored.remove(OWNER, "always").await, Ok(true)));
    }
    let after = Page {
        after: Some("always".to_owned()),
        ..page()
    };
    let all = stored.list(OWNER, &Picked::default(), &after).await;
    assert_eq!(ids(&all.expect("an answer").expect("a page")), [1]);
    let messages = stored.messages(OWNER, "always", &after).await;
    assert!(matches!(messages, Ok(Some(_))));
    assert!(matches!(stored.get(OWNER, "never").await, Ok(None)));
    assert!(matches!(stored.remove(OWNER, "never").await, Ok(false)));
}
