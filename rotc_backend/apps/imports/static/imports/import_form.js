"use strict";

// Shows only what the chosen kind of import needs. Without this script all fields stand there, and work.
document.addEventListener("DOMContentLoaded", () => {
    const kind = document.getElementById("id_kind");
    if (!kind) {
        return;
    }
    const show = (field, shown) => {
        document.querySelector(`.field-${field}`).classList.toggle("hidden-for-kind", !shown);
    };
    const update = () => {
        show("term", kind.value !== "attendance");
        show("training_day", kind.value === "attendance");
    };
    kind.addEventListener("change", update);
    update();
});
