"use strict";

const form = document.getElementById("form");
const message = document.getElementById("message");
const password = document.getElementById("password");
const again = document.getElementById("again");
const shown = document.getElementById("shown");
const button = form.querySelector("button");

let token = "";

function say(text, isProblem) {
  message.textContent = text;
  message.classList.toggle("problem", isProblem);
  message.hidden = false;
}

// The token leaves the address bar as soon as it is read, so that it is neither photographed nor found in the history.
function readToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    token = given;
    history.replaceState(null, "", location.pathname);
  }
  if (token) {
    message.hidden = true;
    form.hidden = false;
    password.focus();
  } else {
    form.hidden = true;
    say("This page is opened by a link that an administrator or an e-mail gives you. Open that link again.", true);
  }
}

async function problemOf(answer) {
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    return `The server answered ${answer.status}. Try again in a minute.`;
  }
  const details = (problem.errors || []).map((error) => error.detail);
  const lines = problem.code === "validation_failed" && details.length ? details : [problem.detail];
  const wait = Number(answer.headers.get("Retry-After"));
  if (wait) {
    lines.push(`Try again in ${Math.ceil(wait / 60)} minutes.`);
  }
  return lines.join("\n");
}

async function save() {
  let answer;
  try {
    answer = await fetch(form.dataset.address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      credentials: "omit",
      body: JSON.stringify({ token, password: password.value }),
    });
  } catch {
    say("The server cannot be reached. Check your connection and try again.", true);
    return;
  }
  if (answer.status === 204) {
    token = "";
    form.hidden = true;
    say("Your password is saved. Use it the next time you sign in. You can close this page.", false);
    return;
  }
  say(await problemOf(answer), true);
  // A link that does not work any more needs no form.
  form.hidden = answer.status === 409;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!password.value) {
    say("Write a password first.", true);
    password.focus();
    return;
  }
  if (password.value !== again.value) {
    say("The two passwords differ. Write the same one twice.", true);
    again.focus();
    return;
  }
  button.disabled = true;
  await save();
  button.disabled = false;
});

shown.addEventListener("change", () => {
  password.type = again.type = shown.checked ? "text" : "password";
});

window.addEventListener("hashchange", readToken);
readToken();
