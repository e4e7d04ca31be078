// What the mock behind the page can play: its scenarios, each with an example request.

import { emptyAnswer } from "./answer.js";
import { el } from "./elements.js";

/** The mock's scenarios; null where something else answers, or this key may not ask. */
export async function loadScenarios(credentials) {
  const reply = await fetch("_mock/scenarios", { headers: credentials });
  if (!reply.ok) return null;
  const { data } = await reply.json();
  return data.map((scenario) => ({ ...scenario, title: titleOf(scenario.name), text: questionOf(scenario) }));
}

/** Lists them; `tried(scenario)` is told which one somebody wants to see. */
export function showScenarios(scenarios, tried) {
  const items = scenarios.map((scenario) => {
    const attributes = { type: "button", class: "scenario", title: scenario.description, onclick: () => tried(scenario) };
    return el("li", {}, el("button", attributes, el("strong", {}, scenario.name), el("span", {}, scenario.description)));
  });
  document.getElementById("scenarios").replaceChildren(...items);
}

/** The messages of an example as the conversation has them: the results of tools stand with their calls. */
export function conversationOf({ messages }) {
  const conversation = [];
  for (const { role, content, tool_calls: calls, tool_call_id: id } of messages) {
    if (role === "user") conversation.push({ role, content });
    if (role === "assistant") conversation.push(said(content, calls ?? []));
    if (role === "tool") {
      const call = conversation.at(-1)?.toolCalls?.find((made) => made.id === id);
      if (call) call.result = content;
    }
  }
  return conversation;
}

function said(content, calls) {
  const toolCalls = calls.map(({ id, function: { name, arguments: values } }) => ({ id, name, arguments: values, result: "" }));
  return { ...emptyAnswer(), content: content ?? "", toolCalls, end: "done", finish: calls.length ? "tool_calls" : "stop" };
}

function titleOf(name) {
  const words = name.split("/").at(-1).replaceAll(/[-_]/g, " ");
  return words[0].toUpperCase() + words.slice(1);
}

function questionOf({ example, description }) {
  const asked = example?.messages?.findLast?.(({ role }) => role === "user")?.content;
  return typeof asked === "string" ? asked : description;
}
