//! Records in this process' memory.

use std::{
    collections::{BTreeMap, HashMap},
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Id, Listed, Owner, Range, Record, Shelf, ShelfLimits, StoreError, StoreFuture};

type Name = (Owner, Id);

/// A shelf of a single node.
#[derive(Debug)]
pub struct MemoryShelf {
    limits: ShelfLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    records: HashMap<Name, Kept>,
    // By place, so in the order in which they expire.
    order: BTreeMap<u64, Name>,
    bytes: usize,
    last: u64,
}

#[derive(Debug)]
struct Kept {
    record: Record,
    bytes: usize,
    since: Instant,
}

impl MemoryShelf {
    /// An empty shelf.
    pub fn new(limits: ShelfLimits) -> Self {
        Self {
            limits,
            table: Mutex::default(),
        }
    }

    /// What is kept, without what has expired.
    fn table(&self) -> MutexGuard<'_, Table> {
        // The bytes are only a bound; a panic between two changes leaves them too high.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = self.limits.keep;
        while table
            .oldest()
            .is_some_and(|kept| kept.since.elapsed() >= keep)
        {
            table.pop_oldest();
        }
        table
    }

    fn put_now(&self, name: Name, head: Bytes, body: Bytes) -> Result<Option<Record>, StoreError> {
        let bytes = head.len() + body.len();
        if bytes > self.limits.max_bytes {
            return Err(StoreError::Full);
        }
        let mut table = self.table();
        if let Some(there) = table.records.get(&name) {
            return Ok(Some(there.record.clone()));
        }
        table.last += 1;
        let place = table.last;
        let record = Record { place, head, body };
        let kept = Kept {
            record,
            bytes,
            since: Instant::now(),
        };
        table.order.insert(place, name.clone());
        table.records.insert(name, kept);
        table.bytes += bytes;
        while table.records.len() > self.limits.max || table.bytes > self.limits.max_bytes {
            table.pop_oldest();
        }
        Ok(None)
    }

    fn list_now(&self, owner: Owner, range: Range) -> Listed {
        let table = self.table();
        let names: Box<dyn Iterator<Item = (&u64, &Name)>> =
            match (range.is_descending, range.after) {
                (true, after) => Box::new(table.order.range(..after.unwrap_or(u64::MAX)).rev()),
                (false, after) => Box::new(table.order.range(after.map_or(0, |after| after + 1)..)),
            };
        let mut listed = Listed::default();
        for (place, name) in names.filter(|(_, name)| name.0 == owner).take(range.count) {
            listed.next = Some(*place);
            if let Some(kept) = table.records.get(name) {
                let head = kept.record.head.clone();
                listed.entries.push((name.1.clone(), head));
            }
        }
        listed.next = listed.next.filter(|_| listed.entries.len() == range.count);
        listed
    }
}

impl Shelf for MemoryShelf {
    fn put<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Bytes,
        body: Bytes,
    ) -> StoreFuture<'a, Option<Record>> {
        let put = self.put_now((owner, id.clone()), head, body);
        Box::pin(ready(put))
    }

    fn get<'a>(&'a self, owner: Owner, id: &'a Id) -> StoreFuture<'a, Option<Record>> {
        let table = self.table();
        let kept = table.records.get(&(owner, id.clone()));
        Box::pin(ready(Ok(kept.map(|kept| kept.record.clone()))))
    }

    fn replace<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Bytes,
    ) -> StoreFuture<'a, Option<Record>> {
        let mut table = self.table();
        let kept = table.records.get_mut(&(owner, id.clone()));
        let replaced = kept.map(|kept| {
            kept.record.head = head;
            kept.record.clone()
        });
        Box::pin(ready(Ok(replaced)))
    }

    fn remove<'a>(
        &'a self,
        owner: Owner,
        id: &'a Id,
        head: Option<Bytes>,
    ) -> StoreFuture<'a, bool> {
        let name = (owner, id.clone());
        let mut table = self.table();
        let there = table.records.get(&name);
        let is_it = there.is_some_and(|kept| head.is_none_or(|head| kept.record.head == head));
        if is_it {
            table.remove(&name);
        }
        Box::pin(ready(Ok(is_it)))
    }

    fn list(&self, owner: Owner, range: Range) -> StoreFuture<'_, Listed> {
        Box::pin(ready(Ok(self.list_now(owner, range))))
    }
}

impl Table {
    fn oldest(&self) -> Option<&Kept> {
        let (_, name) = self.order.first_key_value()?;
        self.records.get(name)
    }

    fn pop_oldest(&mut self) {
        if let Some((_, name)) = self.order.pop_first()
            && let Some(kept) = self.records.remove(&name)
        {
            self.bytes -= kept.bytes;
        }
    }

    fn remove(&mut self, name: &Name) {
        if let Some(kept) = self.records.remove(name) {
            self.order.remove(&kept.record.place);
            self.bytes -= kept.bytes;
        }
    }
}

#[cfg(test)]
#[path = "shelf_contract_tests.rs"]
mod tests;
