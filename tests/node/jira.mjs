// Holds requests to Jira against the models of Atlassian's own description of its API, as jira.js has them.
//
// Reads one JSON request a line from standard input (`method`, `path`, `body`); writes one JSON line for each: the list of what
// is wrong with it, which is empty where nothing is. Properties that the models do not name are wrong, at every depth.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const folder = dirname(createRequire(import.meta.url).resolve("jira.js/package.json"));
const models = await import(pathToFileURL(join(folder, "dist/cloud/models/index.js")));
const { z } = await import("zod");
const Link = models.RemoteIssueLinkRequestSchema.strict();
const Update = models.IssueUpdateDetailsSchema.strict();
// Of the API's version 2, a comment is a text; the models are of version 3, where it is a document.
const Comment = z.object({ body: z.string().min(1).max(32767) }).strict();

function unknown(body, known, path) {
  return Object.keys(body ?? {}).filter((key) => !known.includes(key)).map((key) => `${path}: unknown ${key}`);
}

function deep(link) {
  const { object } = link;
  return [
    ...unknown(object, Object.keys(models.RemoteObjectSchema.shape), "object"),
    ...unknown(object?.status, Object.keys(models.StatusSchema?.shape ?? { resolved: 1, icon: 1 }), "status"),
    ...unknown(object?.icon, Object.keys(models.IconSchema?.shape ?? { title: 1, url16x16: 1, link: 1 }), "icon"),
    ...(link.globalId?.length > 255 ? ["globalId is too long"] : []),
    ...(object?.title?.length > 255 ? ["title is too long"] : []),
  ];
}

function problems({ method, path, body }) {
  if (method === "GET") return body === null ? [] : ["a body"];
  const kind = path.split("/")[2];
  const schema = { comment: Comment, remotelink: Link, transitions: Update }[kind];
  if (schema === undefined) return [`unknown resource ${path}`];
  const parsed = schema.safeParse(body);
  const issues = parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  const nested = kind === "remotelink" ? deep(body) : [];
  const id = kind === "transitions" ? unknown(body.transition, ["id"], "transition") : [];
  return [...issues, ...nested, ...id];
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  console.log(JSON.stringify(problems(JSON.parse(line))));
}
