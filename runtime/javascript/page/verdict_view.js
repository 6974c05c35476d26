// What the browser computed of a recorded input, judged: in the words of the HTML report.

/**
 * @param {HTMLElement} place
 * @param {any} report
 */
export function showVerdict(place, report) {
  place.textContent = JSON.stringify(report);
}
