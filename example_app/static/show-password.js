// A button beside each password that shows what has been typed. Without it the field is as it was.
"use strict";

for (const field of document.querySelectorAll('input[type="password"]')) {
  const row = document.createElement("div");
  const button = document.createElement("button");
  row.className = "password";
  button.type = "button";
  button.className = "button";
  const show = shown => {
    field.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${button.textContent} the password`);
  };
  const focused = document.activeElement === field;
  field.replaceWith(row);
  row.append(field, button);
  if (focused) {
    field.focus();
  }
  show(false);
  button.addEventListener("click", () => show(field.type === "password"));
  field.form?.addEventListener("submit", () => show(false)); // what browsers remember of the form is a password
}
