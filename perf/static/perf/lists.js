// The lists of policies: a button that moves a policy loads the list again, so edits that are not saved are asked about.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("changelist-form");
  if (!form) return;

  const isEdited = (field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
  const hasEdits = () => [...form.querySelectorAll("#result_list input[name^='form-']")].some(isEdited);

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name='_move']");
    // Django's own words for its actions, which do the same.
    const words =
      "You have unsaved changes on individual editable fields. If you run an action, your unsaved changes will be lost.";
    if (button && hasEdits() && !window.confirm(window.gettext ? window.gettext(words) : words)) {
      event.preventDefault();
    }
  });
});
