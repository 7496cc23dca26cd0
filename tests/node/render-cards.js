// Renders Adaptive Cards as a Teams client does, and writes down what came of each: what the parser complains of, the
// words that can be seen, and what can be opened. `CARDS` is a list of cards; the verdicts stand in #verdicts,
// percent-encoded, so that they survive the page's being dumped as HTML.

const markdown = window.markdownit({ html: false, linkify: false });

AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
  result.outputHtml = markdown.render(text);
  result.didProcess = true;
};

function verdict(json) {
  const complaints = [];
  const card = new AdaptiveCards.AdaptiveCard();
  // The version that we say we speak: what is newer is complained of.
  const context = new AdaptiveCards.SerializationContext(AdaptiveCards.Versions.v1_2);
  card.parse(json, context);
  for (let i = 0; i < context.eventCount; i++) {
    complaints.push(context.getEventAt(i).message);
  }
  for (const event of card.validateProperties().validationEvents) {
    complaints.push(event.message);
  }
  const element = card.render();
  if (!element) {
    return { complaints: [...complaints, "it renders to nothing"], text: "", links: [], images: [] };
  }
  document.getElementById("cards").appendChild(element);
  const links = [...element.querySelectorAll("a[href]")].map((link) => link.getAttribute("href"));
  for (let i = 0; i < card.getActionCount(); i++) {
    links.push(card.getActionAt(i).url);
  }
  const images = [...element.querySelectorAll("img")].map((image) => image.getAttribute("src"));
  // What Markdown can make and Teams cannot; facts are the renderer's own table.
  const foreign = [...element.querySelectorAll("h1, h2, h3, h4, h5, h6, table, pre, code, blockquote, hr, s, img")];
  const unknown = foreign
    .filter((part) => !part.closest(".ac-factset") && !part.closest(".ac-image"))
    .map((part) => part.tagName);
  return { complaints, text: element.innerText, links, images, unknown };
}

window.addEventListener("load", () => {
  const verdicts = CARDS.map((card) => {
    try {
      return verdict(card);
    } catch (error) {
      return { complaints: [`the renderer gave up: ${error}`], text: "", links: [], images: [] };
    }
  });
  document.getElementById("verdicts").textContent = encodeURIComponent(JSON.stringify(verdicts));
});
