//! Conversion of values between Rust and JavaScript.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use crate::error::Error;

/// The result of a call from JavaScript; the error is thrown there.
pub type JsResult<T> = Result<T, JsValue>;

/// A JavaScript `Error` with the error's stable `code` and the `part` at fault.
pub fn to_js_error(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    set(&js, "code", &error.code().into());
    set(&js, "part", &error.part.into());
    js.into()
}

/// Sets a property of an object that this module has made.
pub fn set(target: &JsValue, key: &str, value: &JsValue) {
    // This fails only for frozen objects and proxies.
    let _ = Reflect::set(target, &key.into(), value);
}

/// A property; `undefined` if there is none.
pub fn get(target: &JsValue, key: &str) -> JsValue {
    Reflect::get(target, &key.into()).unwrap_or(JsValue::UNDEFINED)
}
