//! The modules of a crate, what they define, and the paths that they name.

use crate::{
    graph::Graph,
    tokens::{Token, tokens},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

type Names = Vec<String>;

#[derive(Debug, Default)]
struct Module {
    /// More than one where features choose between twins.
    files: BTreeSet<String>,
    items: BTreeSet<String>,
    imports: BTreeMap<String, Names>,
    globs: Vec<Names>,
}

#[derive(Debug)]
struct Use {
    module: Names,
    file: String,
    line: usize,
    path: Names,
}

#[derive(Debug, Default)]
pub(crate) struct Sources {
    root: PathBuf,
    modules: BTreeMap<Names, Module>,
    uses: Vec<Use>,
    lines: BTreeMap<String, usize>,
}

impl Sources {
    /// Reads the crate whose `lib.rs` is in `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut sources = Self { root: root.to_owned(), ..Self::default() };
        sources.read_file("lib.rs", &[]);
        sources
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// The lines of each file that hold code: no comments, no tests.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lines.iter().map(|(file, lines)| (file.as_str(), *lines))
    }

    /// Which file uses which: each path leads to the files that define what it names.
    pub(crate) fn arrows(&self) -> Graph {
        let mut graph = Graph::default();
        for Use { module, file, line, path } in &self.uses {
            let Some(home) = self.home(module, path, 0) else { continue };
            for to in &self.modules[&home].files {
                graph.add(file, to, format!("{line} {}", path.join("::")));
            }
        }
        graph
    }

    fn read_file(&mut self, file: &str, module: &[String]) {
        let source = fs::read_to_string(self.root.join(file)).unwrap();
        let tokens = tokens(&source);
        let mut lines = BTreeSet::new();
        self.modules.entry(module.to_vec()).or_default().files.insert(file.to_owned());
        Items { sources: self, file, module: module.to_vec(), lines: &mut lines }.read(&tokens);
        self.lines.insert(file.to_owned(), lines.len());
    }

    /// Returns the module that defines what `path` names in `module`; nothing for other crates.
    fn home(&self, module: &[String], path: &[String], depth: usize) -> Option<Names> {
        if depth > 16 {
            return None;
        }
        let (mut at, mut rest) = self.start(module, path, depth)?;
        while let Some((name, more)) = rest.split_first() {
            let child = join(&at, name);
            if self.modules.contains_key(&child) {
                (at, rest) = (child, more.to_vec());
                continue;
            }
            let here = &self.modules[&at];
            if here.items.contains(name) {
                break;
            }
            if let Some(target) = here.imports.get(name) {
                let whole = [&target[..], more].concat();
                return self.home(&at, &whole, depth + 1).or(Some(at));
            }
            let globbed = here.globs.iter().filter_map(|glob| self.home(&at, glob, depth + 1));
            return globbed
                .into_iter()
                .find(|home| self.modules[home].items.contains(name))
                .or(Some(at));
        }
        Some(at)
    }

    /// Where the search for `path` begins, and what is left of it.
    fn start(&self, module: &[String], path: &[String], depth: usize) -> Option<(Names, Names)> {
        let (first, more) = path.split_first()?;
        match first.as_str() {
            "crate" => Some((vec![], more.to_vec())),
            "self" => Some((module.to_vec(), more.to_vec())),
            "super" => {
                let (_, parent) = module.split_last()?;
                match more.first().is_some_and(|next| next == "super") {
                    true => self.start(parent, more, depth),
                    false => Some((parent.to_vec(), more.to_vec())),
                }
            }
            first => {
                let here = &self.modules[module];
                let child = self.modules.contains_key(&join(module, first));
                if child || here.items.contains(first) {
                    return Some((module.to_vec(), path.to_vec()));
                }
                let target = here.imports.get(first).filter(|target| *target != path)?;
                let whole = [&target[..], more].concat();
                let home = self.home(module, &whole, depth + 1)?;
                Some((home, vec![]))
            }
        }
    }
}

fn join(module: &[String], name: &str) -> Names {
    let mut joined = module.to_vec();
    joined.push(name.to_owned());
    joined
}

/// Reads the items of one module in one file.
struct Items<'a> {
    sources: &'a mut Sources,
    file: &'a str,
    module: Names,
    lines: &'a mut BTreeSet<usize>,
}

/// What an attribute says that matters here.
#[derive(Default)]
struct Attributes {
    is_test: bool,
    path: Option<String>,
}

impl Items<'_> {
    fn read(&mut self, tokens: &[(Token, usize)]) {
        let mut at = 0;
        let mut attributes = Attributes::default();
        while let Some((token, line)) = tokens.get(at) {
            let start = at;
            if let Some(end) = attribute(tokens, at) {
                attributes.read(&tokens[at..=end]);
                at = end + 1;
            } else if attributes.is_test {
                at = end_of_item(tokens, at);
                attributes = Attributes::default();
                continue;
            } else if let Token::Word(word) = token {
                let named = word_at(tokens, at + 1);
                let begins = at == 0 || tokens[at - 1].0 != Token::Then;
                match (word.as_str(), named) {
                    ("pub", _) => {
                        // Attributes go on for what is public.
                        at = match tokens.get(at + 1) {
                            Some((Token::Sign('('), _)) => closing(tokens, at + 1) + 1,
                            _ => at + 1,
                        };
                        self.note(&tokens[start..at]);
                        continue;
                    }
                    ("mod", Some(name)) => {
                        let (name, path) = (name.to_owned(), attributes.path.take());
                        at = self.module(tokens, at + 2, &name, path);
                    }
                    ("use", _) => {
                        at += 1;
                        self.tree(tokens, &mut at, &[]);
                    }
                    (
                        "struct" | "enum" | "union" | "fn" | "trait" | "type" | "const" | "static",
                        Some(name),
                    ) => {
                        self.here().items.insert(name.to_owned());
                        at += 2;
                    }
                    _ if begins => {
                        let (path, end) = path(tokens, at);
                        let is_field = at > 0 && tokens[at - 1].0 == Token::Sign('.');
                        if path.len() > 1 && !is_field && path[0] != "Self" {
                            self.names(*line, path);
                        }
                        at = end;
                    }
                    _ => at += 1,
                }
                attributes = Attributes::default();
            } else {
                at += 1;
                attributes = Attributes::default();
            }
            self.note(&tokens[start..at.min(tokens.len())]);
        }
    }

    fn here(&mut self) -> &mut Module {
        self.sources.modules.entry(self.module.clone()).or_default()
    }

    fn note(&mut self, tokens: &[(Token, usize)]) {
        self.lines.extend(tokens.iter().map(|(_, line)| *line));
    }

    fn names(&mut self, line: usize, path: Names) {
        let (module, file) = (self.module.clone(), self.file.to_owned());
        self.sources.uses.push(Use { module, file, line, path });
    }

    /// Reads what follows `mod name`; returns what comes after it.
    fn module(
        &mut self,
        tokens: &[(Token, usize)],
        at: usize,
        name: &str,
        path: Option<String>,
    ) -> usize {
        let child = join(&self.module, name);
        if tokens[at].0 == Token::Sign('{') {
            let end = closing(tokens, at);
            self.sources.modules.entry(child.clone()).or_default().files.insert(self.file.into());
            let inner = Items {
                sources: &mut *self.sources,
                file: self.file,
                module: child,
                lines: &mut *self.lines,
            };
            { inner }.read(&tokens[at + 1..end]);
            return end + 1;
        }
        let (folder, own) = self.file.rsplit_once('/').unwrap_or(("", self.file));
        let stem = own.trim_end_matches(".rs");
        let below = match stem {
            "mod" | "lib" => folder.to_owned(),
            _ => slash(folder, stem),
        };
        let flat = slash(&below, &format!("{name}.rs"));
        let file = match path {
            Some(path) => slash(folder, &path),
            None if self.sources.root.join(&flat).exists() => flat,
            None => slash(&below, &format!("{name}/mod.rs")),
        };
        self.sources.read_file(&file, &child);
        at + 1
    }

    /// Reads one branch of what is used, up to the sign behind it.
    fn tree(&mut self, tokens: &[(Token, usize)], at: &mut usize, base: &[String]) {
        let mut path = base.to_vec();
        let mut line = tokens[*at].1;
        loop {
            match &tokens[*at].0 {
                Token::Word(word) if word == "as" => {
                    let name = word_at(tokens, *at + 1).unwrap_or("_").to_owned();
                    *at += 2;
                    return self.import(line, name, path);
                }
                Token::Word(word) => {
                    line = tokens[*at].1;
                    if word != "self" || path.is_empty() {
                        path.push(word.clone());
                    }
                    *at += 1;
                }
                Token::Then => *at += 1,
                Token::Sign('*') => {
                    *at += 1;
                    self.here().globs.push(path.clone());
                    return self.names(line, path);
                }
                Token::Sign('{') => {
                    *at += 1;
                    while tokens[*at].0 != Token::Sign('}') {
                        self.tree(tokens, at, &path);
                        *at += usize::from(tokens[*at].0 == Token::Sign(','));
                    }
                    *at += 1;
                    return;
                }
                _ => {
                    let name = path.last().cloned().unwrap_or_default();
                    return self.import(line, name, path);
                }
            }
        }
    }

    fn import(&mut self, line: usize, name: String, path: Names) {
        if name != "_" && path != [name.clone()] {
            self.here().imports.insert(name, path.clone());
        }
        self.names(line, path);
    }
}

impl Attributes {
    fn read(&mut self, tokens: &[(Token, usize)]) {
        let word = |word: &str| tokens.iter().any(|(token, _)| *token == Token::Word(word.into()));
        self.is_test |= word("cfg") && word("test") && !word("any") && !word("not");
        if word("path")
            && let Some((Token::Text(text), _)) = tokens.iter().rev().nth(1)
        {
            self.path = Some(text.clone());
        }
    }
}

fn slash(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn word_at(tokens: &[(Token, usize)], at: usize) -> Option<&str> {
    match tokens.get(at) {
        Some((Token::Word(word), _)) => Some(word),
        _ => None,
    }
}

/// Returns the end of the attribute that begins here.
fn attribute(tokens: &[(Token, usize)], at: usize) -> Option<usize> {
    let sign = |at: usize, sign: char| {
        tokens.get(at).is_some_and(|(token, _)| *token == Token::Sign(sign))
    };
    let open = if sign(at + 1, '!') { at + 2 } else { at + 1 };
    (sign(at, '#') && sign(open, '[')).then(|| closing(tokens, open))
}

/// Returns where the bracket that opens here is closed.
fn closing(tokens: &[(Token, usize)], open: usize) -> usize {
    let mut depth = 0;
    for (at, (token, _)) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("a bracket is not closed");
}

/// Returns what comes after the item that begins here: behind its `;` or its braces.
fn end_of_item(tokens: &[(Token, usize)], mut at: usize) -> usize {
    loop {
        match tokens[at].0 {
            Token::Sign(';') => return at + 1,
            Token::Sign('{') => {
                let end = closing(tokens, at) + 1;
                // The braces of `use a::{b};` do not end it.
                let goes_on = tokens.get(end).is_some_and(|(token, _)| *token == Token::Sign(';'));
                return end + usize::from(goes_on);
            }
            Token::Sign('(' | '[') => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
}

/// Returns the path that begins here, and what comes after it.
fn path(tokens: &[(Token, usize)], mut at: usize) -> (Names, usize) {
    let mut path = Vec::new();
    while let Some(word) = word_at(tokens, at) {
        path.push(word.to_owned());
        at += 1;
        let goes_on = tokens.get(at).is_some_and(|(token, _)| *token == Token::Then);
        if !goes_on || word_at(tokens, at + 1).is_none() {
            break;
        }
        at += 1;
    }
    (path, at)
}
