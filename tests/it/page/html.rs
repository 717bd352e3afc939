//! Just enough reading of HTML: tags with an attribute, and text without its tags.

use serde_json::Value;

/// A tag.
#[derive(Debug)]
pub(crate) struct Tag {
    /// The value of the attribute that it was sought by.
    pub(crate) key: String,
    tag: String,
}

impl Tag {
    /// The value of another attribute; empty when it has none.
    pub(crate) fn get(&self, name: &str) -> String {
        attribute(&self.tag, name).unwrap_or_default()
    }
}

/// Every tag with that attribute, in the order of the page.
pub(crate) fn rows(page: &str, name: &str) -> Vec<Tag> {
    // What stands in scripts is no tag.
    let markup: String =
        page.split("<script").map(|part| part.split("</script>").last().unwrap_or("")).collect();
    markup
        .split('<')
        .filter_map(|part| {
            let tag = part.split('>').next()?;
            Some(Tag { key: attribute(tag, name)?, tag: tag.to_owned() })
        })
        .collect()
}

/// The value of the one figure of that name.
#[track_caller]
pub(crate) fn figure(page: &str, name: &str) -> String {
    let mut found = rows(page, "data-figure").into_iter().filter(|tag| tag.key == name);
    let tag = found.next().unwrap_or_else(|| panic!("no figure `{name}`"));
    assert!(found.next().is_none(), "two figures `{name}`");
    ["value", "datetime"]
        .iter()
        .map(|name| tag.get(name))
        .find(|v| !v.is_empty())
        .unwrap_or_default()
}

/// The text of the page, without scripts, styles and tags, its blanks made one.
pub(crate) fn plain(page: &str) -> String {
    let mut rest = page.to_owned();
    for name in ["script", "style"] {
        while let Some(from) = rest.find(&format!("<{name}")) {
            let ending = format!("</{name}>");
            let Some(length) = rest[from..].find(&ending) else { break };
            rest.replace_range(from..from + length + ending.len(), " ");
        }
    }
    let text: String =
        rest.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
    unescape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The document that the charts are drawn from.
#[track_caller]
pub(crate) fn facts(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"facts\">").expect("facts");
    let (text, _) = rest.split_once("</script>").expect("their end");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescape(rest.split_once('"')?.0))
}

fn unescape(text: &str) -> String {
    const ENTITIES: [(&str, &str); 9] = [
        ("&#60;", "<"),
        ("&lt;", "<"),
        ("&#62;", ">"),
        ("&gt;", ">"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}
