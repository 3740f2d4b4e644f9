import assert from "node:assert/strict";
import { test } from "node:test";

import * as orders from "./order.ts";
import { announcement, ordinal, placeLabel } from "./sentences.ts";

const SHOWN = [31, 7, 19, 4];
const start = orders.orderStart(SHOWN);
const placed = (...ids: number[]) => ids.reduce(orders.place, start);

test("an order starts empty and is not complete", () => {
  assert.deepEqual(start.groups, []);
  assert.equal(orders.isComplete(start), false);
  assert.deepEqual(orders.unplaced(start), SHOWN);
});

test("letters follow the shown order, in either case", () => {
  assert.equal(orders.letterOf(start, 31), "A");
  assert.equal(orders.idOfLetter(start, "d"), 4);
  assert.equal(orders.idOfLetter(start, "E"), undefined);
});

test("placing appends below, and a second time changes nothing", () => {
  const order = placed(19, 31);
  assert.deepEqual(order.groups, [[19], [31]]);
  assert.equal(orders.place(order, 19), order);
  assert.equal(orders.place(order, 999), order);
});

test("a tie joins the last place, and the first answer simply opens place one", () => {
  assert.deepEqual(orders.tie(start, 7).groups, [[7]]);
  const order = orders.tie(placed(19, 31), 7);
  assert.deepEqual(order.groups, [[19], [31, 7]]);
  assert.deepEqual(orders.placeOf(order, 7), { number: 2, tied: true });
  assert.deepEqual(orders.place(order, 4).groups, [[19], [31, 7], [4]]);
});

test("a placed answer ties with the place above it", () => {
  const order = orders.tie(placed(19, 31, 7), 7);
  assert.deepEqual(order.groups, [[19], [31, 7]]);
  assert.equal(orders.tie(order, 19), order);
});

test("toggling a tie leads out of it and back", () => {
  const tied = orders.tie(placed(19, 31), 7);
  const apart = orders.toggleTie(tied, 31);
  assert.deepEqual(apart.groups, [[19], [7], [31]]);
  assert.deepEqual(orders.toggleTie(apart, 31).groups, [[19], [7, 31]]);
  assert.equal(orders.toggleTie(start, 31), start);
});

test("taking back works from the end and anywhere", () => {
  const order = orders.tie(placed(19, 31), 7);
  assert.deepEqual(orders.removeLast(order).groups, [[19], [31]]);
  assert.deepEqual(orders.remove(order, 19).groups, [[31, 7]]);
  assert.equal(orders.removeLast(start), start);
  assert.deepEqual(orders.clear(order).groups, []);
});

test("moving passes neighbors and stops at the ends", () => {
  const order = placed(31, 7, 19);
  assert.deepEqual(orders.move(order, 19, -1).groups, [[31], [19], [7]]);
  assert.deepEqual(orders.move(order, 31, 1).groups, [[7], [31], [19]]);
  assert.equal(orders.move(order, 31, -1), order);
  assert.equal(orders.move(order, 19, 1), order);
  assert.equal(orders.move(order, 4, 1), order);
});

test("moving out of a tie makes a place of its own on that side", () => {
  const order = orders.tie(placed(31, 7), 19);
  assert.deepEqual(orders.move(order, 19, -1).groups, [[31], [19], [7]]);
  assert.deepEqual(orders.move(order, 7, 1).groups, [[31], [19], [7]]);
});

test("dropping into a gap or onto a place counts in the order before the drop", () => {
  const order = placed(31, 7, 19);
  assert.deepEqual(orders.insertAt(order, 31, 3).groups, [[7], [19], [31]]);
  assert.deepEqual(orders.insertAt(order, 4, 1).groups, [[31], [4], [7], [19]]);
  assert.equal(orders.insertAt(order, 7, 1), order);
  assert.deepEqual(orders.joinGroup(order, 31, 2).groups, [[7], [19, 31]]);
  assert.equal(orders.joinGroup(order, 31, 0), order);
});

test("a draft is restored, and what does not fit is ignored", () => {
  const draft = { order: [[19], [7, 19, 888], "x", []] };
  assert.deepEqual(orders.orderFromDraft(SHOWN, draft).groups, [[19], [7]]);
  assert.deepEqual(orders.orderFromDraft(SHOWN, null).groups, []);
  assert.deepEqual(orders.orderFromDraft(SHOWN, { order: 3 }).groups, []);
});

test("any sequence of moves keeps every answer once and no place empty", () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 16807) % 2147483647) % below;
  let order = start;
  for (let step = 0; step < 5000; step += 1) {
    const id = SHOWN[random(SHOWN.length)] as number;
    const moves = [
      () => orders.place(order, id),
      () => orders.tie(order, id),
      () => orders.toggleTie(order, id),
      () => orders.move(order, id, random(2) ? 1 : -1),
      () => orders.insertAt(order, id, random(order.groups.length + 1)),
      () => orders.joinGroup(order, id, random(order.groups.length + 1)),
      () => (random(4) ? order : orders.remove(order, id)),
    ];
    order = (moves[random(moves.length)] as () => orders.Order)();
    const all = order.groups.flat();
    assert.equal(new Set(all).size, all.length);
    assert.ok(order.groups.every((group) => group.length > 0));
    assert.equal(all.length + orders.unplaced(order).length, SHOWN.length);
  }
});

test("sentences name the place, the tie and what is left", () => {
  assert.deepEqual([1, 2, 3, 4, 9].map(ordinal), ["1st", "2nd", "3rd", "4th", "9th"]);
  const order = orders.tie(placed(31), 19);
  assert.equal(placeLabel(order, 19), "Tied 1st");
  assert.equal(placeLabel(order, 7), "Not placed yet");
  assert.equal(announcement(order, 19), "C is 1st, tied with A. Still to place: B and D.");
  assert.match(announcement(orders.tie(placed(31, 7, 4), 19), 19), /Press Enter to submit/);
});
