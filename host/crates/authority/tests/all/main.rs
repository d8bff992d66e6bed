//! What `authority` promises: paths and scopes match as documented, and nothing is permitted that
//! request, grants and effect do not each permit.

// `cfg(test)` tells clippy that helpers without `#[test]` are tests too.
#[cfg(test)]
mod agreement;
#[cfg(test)]
mod ceiling;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod globs;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod intersection;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod terms;
#[cfg(test)]
mod tightening;
#[cfg(test)]
mod urls;
