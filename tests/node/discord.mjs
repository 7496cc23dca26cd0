// Holds messages for Discord against what Discord's own library takes.
//
// Reads one JSON body a line from standard input; writes one JSON line for each: the list of what is wrong with it, which
// is empty where nothing is. The embeds are built with the validating setters of @discordjs/builders. What those do not
// check (sums, empty fields, mentions) is checked here, by
// https://docs.discord.com/developers/resources/message#embed-object-embed-limits.

import { createInterface } from "node:readline";
import { EmbedBuilder, embedLength, enableValidators } from "@discordjs/builders";

enableValidators();

function build(embed) {
  const known = ["color", "timestamp", "title", "url", "description", "author", "footer", "fields"];
  const unknown = Object.keys(embed).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`unknown parts: ${unknown}`);
  const builder = new EmbedBuilder();
  if (embed.color !== undefined) builder.setColor(embed.color);
  if (embed.timestamp !== undefined) {
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(embed.timestamp)) throw new Error("timestamp");
    builder.setTimestamp(new Date(embed.timestamp));
  }
  if (embed.title !== undefined) builder.setTitle(embed.title);
  if (embed.url !== undefined) builder.setURL(embed.url);
  if (embed.description !== undefined) builder.setDescription(embed.description);
  if (embed.author !== undefined) {
    builder.setAuthor({ name: embed.author.name, url: embed.author.url, iconURL: embed.author.icon_url });
  }
  if (embed.footer !== undefined) {
    builder.setFooter({ text: embed.footer.text, iconURL: embed.footer.icon_url });
  }
  if (embed.fields !== undefined) builder.setFields(embed.fields);
  return builder.toJSON();
}

// Its errors hold others, some of them under the name of a part.
function reasons(error) {
  const inner = (error.errors ?? []).flatMap((each) =>
    Array.isArray(each) ? reasons(each[1]).map((reason) => `${each[0]}: ${reason}`) : reasons(each),
  );
  return inner.length > 0 ? inner : [error.message];
}

function problemsOf(body) {
  const problems = [];
  const say = (problem) => problems.push(problem);
  const content = body.content ?? "";
  const embeds = body.embeds ?? [];
  if (content.length > 2000) say(`content: ${content.length} characters`);
  if (embeds.length > 10) say(`${embeds.length} embeds`);
  if (content.trim() === "" && embeds.length === 0) say("empty");
  const parse = body.allowed_mentions?.parse;
  if (!Array.isArray(parse) || parse.length > 0) say("allowed_mentions: mentions are not disabled");
  let total = 0;
  embeds.forEach((embed, index) => {
    try {
      const built = build(embed);
      total += embedLength(built);
      if (!built.title && !built.description && !built.fields?.length) say(`embed ${index}: empty`);
      for (const field of built.fields ?? []) {
        if (field.name.trim() === "" || field.value.trim() === "") say(`embed ${index}: an empty field`);
      }
    } catch (error) {
      say(`embed ${index}: ${reasons(error).join("; ")}`);
    }
  });
  if (total > 6000) say(`${total} characters in all embeds`);
  return problems;
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let problems;
  try {
    problems = problemsOf(JSON.parse(line));
  } catch (error) {
    problems = [String(error)];
  }
  console.log(JSON.stringify(problems));
}
