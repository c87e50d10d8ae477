//! The sections of `docs/performance.md` that commands write.

use std::fs;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");

/// Puts `text` between the marks of `section`.
pub fn write(section: &str, text: &str) {
    let document = fs::read_to_string(DOCUMENT).expect("the document can be read");
    let (begin, end) = (format!("<!-- {section}: begin -->"), format!("<!-- {section}: end -->"));
    let (before, rest) = document.split_once(&begin).expect("the section has a beginning");
    let (_, after) = rest.split_once(&end).expect("the section has an end");
    let text = text.trim();
    let document = format!("{before}{begin}\n\n{text}\n\n{end}{after}");
    fs::write(DOCUMENT, document).expect("the document can be written");
}
