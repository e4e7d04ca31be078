//! `text/event-stream`, bytes to events and back (WHATWG HTML, section 9.2).
//!
//! Knows nothing of OpenAI or HTTP. Start at [`Decoder`] for reading and
//! [`data_frame`] for writing.

mod decode;
mod encode;
mod frame;
mod lines;

pub use decode::{DecodeError, Decoder, Event};
pub use encode::{DATA, FRAME_END, Field, FieldError, data_frame, write_data, write_field};
pub use frame::{Frame, Pattern};
pub use lines::Lines;
