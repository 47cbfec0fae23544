//! temporary
use super::buffer::Buffer;
pub fn put_ordered(_out: &mut Buffer, _number: f64) { unimplemented!() }
pub fn get_ordered(_bytes: &[u8]) -> Option<(f64, &[u8])> { unimplemented!() }
