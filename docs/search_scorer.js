/* How the search ranks: what a page says it is about comes first, then what the glossary
   defines, then the report, then the API. */
var Scorer = {
  score: function (result) {
    var page = result[0], score = result[4], kind = result[6];
    if (kind === "index") return score + (page === "glossary" ? 50 : 100);
    return page.startsWith("api/") && kind !== "object" ? score / 2 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 4,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2
};
/* A page from the disk may not read other pages, so it shows their titles alone. */
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
