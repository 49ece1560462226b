"use strict";

(() => {
  /* Lines of the table that are added at once. */
  const STEP = 100;
  const RANKS = { error: 0, warning: 1, note: 2 };
  /* Characters that leave no mark, as the reports know them, but for line breaks and tabs. */
  const UNSEEN =
    /[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;
  /* A word, or a single sign, with the blanks before it; blanks at the end stand alone. */
  const WORDS =
    /\s*(?:[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}\p{M}\p{Cf}_'’]+|\S)|\s+$/gu;
  /* What a column is sorted by. */
  const KEYS = {
    severity: (row) => RANKS[row.finding.severity],
    finding: (row) => row.finding.code,
    file: (row) => data.files[row.text.file],
    line: (row) => row.text.line,
    score: (row) => row.score,
    question: (row) => row.text.question ?? row.text.problem,
    answer: (row) => row.text.answer ?? "",
  };

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const collator = new Intl.Collator("en", { numeric: true });
  const sorting = { key: null, descending: false };
  let limit = STEP;

  const rows = data.rows.map((row, order) => {
    const text = data.texts[row.text];
    const other = row.other === null ? null : data.texts[row.other];
    const sought = [text, other].map(searched).join("\n").toLowerCase();
    const finding = data.findings[row.finding];
    return { order, finding, text, other, sought, score: row.score, open: false };
  });

  function searched(text) {
    if (text === null) return "";
    return [place(text), text.question, text.answer, text.problem].join("\n");
  }

  /* Where a row stands; a whole file has no line. */
  function place(text) {
    const file = data.files[text.file];
    return isFile(text) ? file : `${file}:${text.line}`;
  }

  function isFile(text) {
    return text.line === 0;
  }

  /* An element of a class; what it holds is other elements, and strings that stay text. */
  function element(name, style, ...held) {
    const made = document.createElement(name);
    if (style !== "") made.className = style;
    made.append(...held);
    return made;
  }

  /* The text, what no one sees in it shown by its number. */
  function visible(text) {
    const parts = [];
    let at = 0;
    for (const found of text.matchAll(UNSEEN)) {
      const number = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
      parts.push(text.slice(at, found.index), element("span", "unseen", `⟨${number}⟩`));
      at = found.index + found[0].length;
    }
    parts.push(text.slice(at));
    return parts;
  }

  /* Which words of either text stand in the other one too, in the same order: the longest common subsequence. */
  function shared(first, second) {
    const lengths = Array.from({ length: first.length + 1 }, () => new Uint16Array(second.length + 1));
    for (let i = first.length - 1; i >= 0; i--) {
      for (let j = second.length - 1; j >= 0; j--) {
        const same = first[i] === second[j];
        lengths[i][j] = same ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
      }
    }
    const common = [new Set(), new Set()];
    let [i, j] = [0, 0];
    while (i < first.length && j < second.length) {
      if (first[i] === second[j]) {
        common[0].add(i++);
        common[1].add(j++);
      } else if (lengths[i + 1][j] >= lengths[i][j + 1]) {
        i++;
      } else {
        j++;
      }
    }
    return common;
  }

  /* The words in runs, those that are not common marked. */
  function marked(words, common) {
    const runs = [];
    words.forEach((word, at) => {
      const same = common.has(at);
      const last = runs.at(-1);
      if (last !== undefined && last.same === same) last.text += word;
      else runs.push({ same, text: word });
    });
    return runs.flatMap((run) => {
      if (run.same) return visible(run.text);
      const words = run.text.trimStart();
      const blanks = run.text.slice(0, run.text.length - words.length);
      return [...visible(blanks), element("mark", "", ...visible(words))];
    });
  }

  /* Both texts, with the words that differ marked. */
  function compared(first, second) {
    const words = [first, second].map((text) => text.match(WORDS) ?? []);
    const common = shared(...words.map((list) => list.map((word) => word.trim())));
    return words.map((list, side) => marked(list, common[side]));
  }

  function field(name, held) {
    const text = element("p", "", ...held);
    text.dir = "auto";
    return element("div", "field", element("h4", "", name), text);
  }

  function panel(text, question, answer) {
    const head = element("h3", "place", place(text));
    if (text.problem !== undefined) {
      return element("div", "panel", head, element("p", "problem", ...visible(text.problem)));
    }
    return element("div", "panel", head, field("Question", question), field("Answer", answer));
  }

  function panels(row) {
    const [text, other] = [row.text, row.other];
    const whole = (text) => panel(text, visible(text.question ?? ""), visible(text.answer ?? ""));
    if (other === null) return [whole(text)];
    if (text.problem !== undefined || other.problem !== undefined) return [whole(text), whole(other)];
    const questions = compared(text.question, other.question);
    const answers = compared(text.answer, other.answer);
    return [panel(text, questions[0], answers[0]), panel(other, questions[1], answers[1])];
  }

  function detail(row) {
    const cell = element("td", "", element("div", "panels", ...panels(row)));
    cell.colSpan = 7;
    return element("tr", "detail", cell);
  }

  function excerpt(text, style) {
    const made = element("div", style, ...visible(text));
    made.dir = "auto";
    return made;
  }

  /* The button that opens a row, and the row that it is about; a whole file has no text to open. */
  function opener(row) {
    const code = row.finding.code;
    if (isFile(row.text)) return element("div", "", code, ...beside(row));
    const button = element("button", "opener", code);
    button.type = "button";
    button.title = row.other === null ? "Show the whole text" : "Show both rows side by side";
    button.setAttribute("aria-expanded", String(row.open));
    return element("div", "", button, ...beside(row));
  }

  function beside(row) {
    return row.other === null ? [] : [element("div", "aside", `beside ${place(row.other)}`)];
  }

  /* A row of the table, with its texts below where it is open. */
  function line(row) {
    const { finding, text, score } = row;
    const unread = text.problem !== undefined;
    const cells = {
      severity: finding.severity,
      finding: opener(row),
      file: data.files[text.file],
      line: isFile(text) ? "" : text.line.toLocaleString("en"),
      score: score === null ? "" : score.toFixed(2),
      question: excerpt(unread ? text.problem : text.question, unread ? "excerpt problem" : "excerpt"),
      answer: (text.answer ?? "") === "" ? "" : excerpt(text.answer, "excerpt"),
    };
    const made = element("tr", `row ${finding.severity}`);
    for (const [name, held] of Object.entries(cells)) {
      const cell = element("td", name, held);
      /* Beside narrow cells stands what they hold; a problem is no question. */
      if (held !== "" && !(unread && name === "question")) cell.dataset.name = name;
      made.append(cell);
    }
    if (!isFile(text)) made.addEventListener("click", (event) => toggle(row, made, event));
    return row.open ? [made, detail(row)] : [made];
  }

  function toggle(row, made, event) {
    const selects = window.getSelection().toString() !== "";
    if (selects && event.target.closest("button") === null) return;
    row.open = !row.open;
    made.querySelector(".opener").setAttribute("aria-expanded", String(row.open));
    if (row.open) made.after(detail(row));
    else made.nextElementSibling.remove();
  }

  function before(a, b) {
    if (sorting.key === null) return a.order - b.order;
    const [x, y] = [a, b].map(KEYS[sorting.key]);
    /* Rows without a score stand last in either direction. */
    if (x === null || y === null) return (x === null) - (y === null) || a.order - b.order;
    const difference = typeof x === "number" ? x - y : collator.compare(x, y);
    return (sorting.descending ? -difference : difference) || a.order - b.order;
  }

  const filters = ["by-severity", "by-code", "by-file", "by-text"].map(byId);

  function isWanted(finding) {
    const [severity, code] = filters.map((filter) => filter.value);
    return (severity === "" || finding.severity === severity) && (code === "" || finding.code === code);
  }

  function render() {
    const [, , file, words] = filters.map((filter) => filter.value);
    const sought = words.trim().toLowerCase();
    const isKept = (row) =>
      isWanted(row.finding) && (file === "" || row.text.file === Number(file)) && row.sought.includes(sought);
    const kept = rows.filter(isKept).sort(before);
    const shown = Math.min(limit, kept.length);
    byId("lines").replaceChildren(...kept.slice(0, shown).flatMap(line));
    byId("more").hidden = shown === kept.length;
    const left = data.findings.filter(isWanted).reduce((sum, finding) => sum + finding.left_out, 0);
    const others = left === 0 ? "" : `; ${left.toLocaleString("en")} more are not in this page`;
    byId("status").textContent =
      `${shown.toLocaleString("en")} of ${kept.length.toLocaleString("en")} rows shown${others}`;
  }

  function renderFromStart() {
    limit = STEP;
    render();
  }

  /* A first click sorts, the worst scores first; a second one the other way; a third one as it was. */
  function sortBy(key) {
    const first = key === "score";
    if (sorting.key !== key) Object.assign(sorting, { key, descending: first });
    else if (sorting.descending === first) sorting.descending = !first;
    else sorting.key = null;
    for (const button of document.querySelectorAll("button[data-key]")) {
      const direction = sorting.descending ? "descending" : "ascending";
      const sorts = button.dataset.key === sorting.key;
      button.parentElement.setAttribute("aria-sort", sorts ? direction : "none");
    }
    renderFromStart();
  }

  function clear() {
    for (const filter of filters) filter.value = "";
  }

  function showOnly(code) {
    clear();
    byId("by-code").value = code;
    renderFromStart();
    byId("rows").scrollIntoView();
    byId("by-code").focus({ preventScroll: true });
  }

  function listen() {
    for (const filter of filters) filter.addEventListener("input", renderFromStart);
    byId("clear").addEventListener("click", () => {
      clear();
      renderFromStart();
    });
    byId("more").addEventListener("click", () => {
      limit += STEP;
      render();
    });
    for (const button of document.querySelectorAll("button[data-key]")) {
      button.addEventListener("click", () => sortBy(button.dataset.key));
    }
    for (const button of document.querySelectorAll("button[data-code]")) {
      button.addEventListener("click", () => showOnly(button.dataset.code));
    }
  }

  /* A page without findings has no table. */
  if (byId("rows") !== null) {
    listen();
    render();
  }
})();
