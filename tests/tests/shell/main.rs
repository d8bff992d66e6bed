//! The command line from outside: what is typed, printed and asked, and what the READMEs promise.

mod author;
mod doctor;
mod examples;
mod goldens;
mod hints;
mod hostile_text;
mod installed;
mod json;
mod place;
mod quickstart;
mod report;
mod sdk_readme;
mod sources;
mod terminal;
