// Adds what plain HTML cannot: copying, searching among scopes, and forgetting secrets. Every page works without it.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const keptZone = document.cookie.split("; ").find((pair) => pair.startsWith("patron_zone="))?.slice(12);
// A zone that the reader chose is theirs; one that was found here follows the machine.
if (zone && /^[A-Za-z0-9_+\/-]+$/.test(zone) && (!keptZone || (keptZone.startsWith("auto:") && keptZone !== "auto:" + zone))) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = "patron_zone=auto:" + zone + "; Path=/; SameSite=Lax" + secure;
}

const announcer = document.createElement("p");
announcer.className = "announcer";
announcer.setAttribute("role", "status");
document.body.append(announcer);

for (const button of document.querySelectorAll("[data-copy], [data-copy-of]")) {
  button.hidden = false;
  const text = button.textContent;
  const name = button.getAttribute("aria-label");
  button.addEventListener("click", async () => {
    const source = button.dataset.copyOf && document.getElementById(button.dataset.copyOf);
    const copied = source ? source.textContent : button.dataset.copy;
    try {
      await navigator.clipboard.writeText(copied);
    } catch {
      // Without https there is no clipboard for pages; the old way still works.
      const area = document.createElement("textarea");
      area.value = copied;
      area.className = "announcer";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = document.documentElement.dataset.copied;
    // Its name must say what stands on it (WCAG 2.5.3).
    button.setAttribute("aria-label", button.textContent);
    announcer.textContent = button.textContent;
    setTimeout(() => {
      button.textContent = text;
      button.setAttribute("aria-label", name);
      announcer.textContent = "";
    }, 1500);
  });
}

// A search among the rows of a list that is on the page.
for (const search of document.querySelectorAll("[data-search]")) {
  search.hidden = false;
  const list = document.getElementById(search.dataset.search);
  const input = search.querySelector("input");
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of list.children) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
  // Enter looks for something here; it must not send the form.
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

// "All on this page" above boxes of one name.
for (const all of document.querySelectorAll("[data-check-all]")) {
  const boxes = document.querySelectorAll("input[name='" + all.dataset.checkAll + "']");
  all.hidden = false;
  all.closest("[hidden]")?.removeAttribute("hidden");
  all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
}

// A day that is typed, or the acknowledgement that is ticked, chooses what it goes with; another choice drops it.
for (const [name, value] of [["date", "date"], ["aware", "never"]]) {
  const field = document.querySelector("main form input[name='" + name + "']");
  const choices = field?.form.querySelectorAll("input[type='radio'][name='expires'], input[type='radio'][name='until']");
  field?.addEventListener("input", () => {
    const isGiven = field.type === "checkbox" ? field.checked : field.value !== "";
    for (const choice of choices) if (isGiven && choice.value === value) choice.checked = true;
  });
  choices?.forEach((choice) => choice.addEventListener("change", () => {
    if (choice.value === value) return;
    if (field.type === "checkbox") field.checked = false; else field.value = "";
  }));
}

for (const element of document.querySelectorAll("[data-focus]")) element.focus();

// A page that shows a secret forgets it when it is left, whatever the browser keeps of the page.
if (document.querySelector("[data-secret]")) {
  const forget = () => document.querySelectorAll("[data-secret]").forEach((element) => element.remove());
  window.addEventListener("pagehide", forget);
  window.addEventListener("pageshow", (event) => event.persisted && forget());
}

// An open menu closes when one looks elsewhere.
for (const menu of document.querySelectorAll("details.menu")) {
  document.addEventListener("click", (event) => menu.contains(event.target) || (menu.open = false));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
