//! Every event: what one ships. The users of P4's fold 0 are held back to choose the number of epochs; then the model
//! is fitted on all.

use super::{Protocol, Split, histories, p4};
use crate::data::Dataset;

pub(super) fn split(data: &Dataset) -> Split {
    let held_back: Vec<bool> = (0..data.users.len()).map(|user| p4::fold_of(data, user) == 0).collect();
    Split {
        protocol: Protocol::All,
        fold: None,
        train: histories(data, |user| !held_back[user]),
        valid: (0..held_back.len()).filter(|u| held_back[*u]).filter_map(|u| p4::query(data, u)).collect(),
        refit: Some(histories(data, |_| true)),
        test: vec![],
    }
}
