//! One folder for each wire protocol, with both its sides: the face that clients see and the
//! upstream that providers see. No folder knows another; only this file names them all.

pub mod lane;
pub mod millrace;
pub mod openai_chat;
